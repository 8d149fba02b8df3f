package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// report writes how many items there are and puts those back into the queue that no worker finished within a minute.
func report(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	database, cache, err := openBoth(ctx)
	if err != nil {
		return err
	}
	defer database.Close()
	defer cache.Close()
	rows, err := database.Query(ctx, `select id from items where result is null and created < now() - interval '1 minute'`)
	if err != nil {
		return err
	}
	lost, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	for _, id := range lost {
		if err := cache.LPush(ctx, queue, id).Err(); err != nil {
			return err
		}
	}
	var items, done int64
	row := database.QueryRow(ctx, `insert into reports (items, done, requeued)
		select count(*), count(result), $1 from items returning items, done`, len(lost))
	if err := row.Scan(&items, &done); err != nil {
		return err
	}
	slog.Info("report", "items", items, "done", done, "requeued", len(lost))
	return nil
}
