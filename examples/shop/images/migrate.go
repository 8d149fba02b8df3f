package main

import (
	"context"
	_ "embed"
	"log/slog"
	"time"
)

//go:embed schema.sql
var schema string

// migrate brings the tables up to date; it may run any number of times.
func migrate(ctx context.Context) error {
	database, err := openDatabase(ctx)
	if err != nil {
		return err
	}
	defer database.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := retry(ctx, func() error { return database.Ping(ctx) }); err != nil {
		return err
	}
	if _, err := database.Exec(ctx, schema); err != nil {
		return err
	}
	slog.Info("tables are up to date")
	return nil
}
