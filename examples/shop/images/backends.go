package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// The queue between api and worker: a Redis list of item ids.
const queue = "jobs"

// openDatabase makes a pool from $DATABASE_URL; connections are made when they are first needed.
func openDatabase(ctx context.Context) (*pgxpool.Pool, error) {
	address, err := variable("DATABASE_URL")
	if err != nil {
		return nil, err
	}
	return pgxpool.New(ctx, address)
}

// openCache makes a Redis client from $REDIS_URL; connections are made when they are first needed.
func openCache() (*redis.Client, error) {
	address, err := variable("REDIS_URL")
	if err != nil {
		return nil, err
	}
	options, err := redis.ParseURL(address)
	if err != nil {
		return nil, errors.New("the variable REDIS_URL is no Redis URL") // its text holds the password
	}
	return redis.NewClient(options), nil
}

// openBoth is what api, worker and report start with.
func openBoth(ctx context.Context) (*pgxpool.Pool, *redis.Client, error) {
	database, err := openDatabase(ctx)
	if err != nil {
		return nil, nil, err
	}
	cache, err := openCache()
	if err != nil {
		database.Close()
		return nil, nil, err
	}
	return database, cache, nil
}

// waitForBackends is the api's init container: it ends as soon as both backends answer, and fails after a minute.
func waitForBackends(ctx context.Context) error {
	database, cache, err := openBoth(ctx)
	if err != nil {
		return err
	}
	defer database.Close()
	defer cache.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return retry(ctx, func() error {
		return errors.Join(database.Ping(ctx), cache.Ping(ctx).Err())
	})
}

// retry calls `try` once a second until it succeeds or ctx ends; then the last error is what is told.
func retry(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		slog.Info("waiting", "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up: %w", err)
		case <-time.After(time.Second):
		}
	}
}
