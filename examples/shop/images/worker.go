package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// worker takes item ids from the queue and writes results; on SIGTERM it finishes the job in hand.
func worker(ctx context.Context) error {
	work := context.WithoutCancel(ctx)
	database, cache, err := openBoth(work)
	if err != nil {
		return err
	}
	defer database.Close()
	defer cache.Close()
	slog.Info("waiting for jobs")
	for ctx.Err() == nil {
		// A short block and not ctx: a job that was popped while ctx ended would be lost.
		popped, err := cache.BRPop(work, time.Second, queue).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err == nil {
			err = finish(work, database, popped[1])
		}
		if err != nil {
			slog.Error("job failed", "error", err)
			if popped != nil {
				cache.LPush(work, queue, popped[1])
			}
			time.Sleep(time.Second)
		}
	}
	return nil
}

// finish does one job: the result is the SHA-256 of the item's name. An item that is gone is no error.
func finish(ctx context.Context, database *pgxpool.Pool, job string) error {
	id, err := strconv.ParseInt(job, 10, 64)
	if err != nil {
		slog.Warn("no such job", "job", job)
		return nil
	}
	var name string
	err = database.QueryRow(ctx, `select name from items where id = $1`, id).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(name))
	pod, _ := os.Hostname()
	_, err = database.Exec(ctx, `update items set result = $2, worker = $3 where id = $1`, id, hex.EncodeToString(sum[:]), pod)
	if err == nil {
		slog.Info("job done", "item", id)
	}
	return err
}
