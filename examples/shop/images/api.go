package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

type item struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Result  *string   `json:"result"`
	Worker  *string   `json:"worker"`
}

type shop struct {
	database *pgxpool.Pool
	cache    *redis.Client
}

// api reads and writes items in PostgreSQL, counts visits in Redis and hands new items to the worker by a Redis list.
func api(ctx context.Context) error {
	// The pool outlives ctx: requests in flight still need it while the server drains.
	database, cache, err := openBoth(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer database.Close()
	defer cache.Close()
	s := &shop{database, cache}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/items", s.list)
	mux.HandleFunc("POST /api/items", s.add)
	mux.HandleFunc("GET /api/info", info)
	mux.HandleFunc("GET /api/burn", burn)
	mux.HandleFunc("GET /api/slow", slow)
	return serve(ctx, mux, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		return database.Ping(ctx)
	})
}

func (s *shop) list(w http.ResponseWriter, r *http.Request) {
	visits, err := s.cache.Incr(r.Context(), "visits").Result()
	if err != nil {
		fail(w, err)
		return
	}
	rows, err := s.database.Query(r.Context(), `select id, name, created, result, worker from items order by id desc limit 100`)
	if err != nil {
		fail(w, err)
		return
	}
	items, err := pgx.CollectRows(rows, pgx.RowToStructByPos[item])
	if err != nil {
		fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": items, "visits": visits})
}

func (s *shop) add(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Name string `json:"name"`
	}
	body := http.MaxBytesReader(w, r.Body, 64<<10)
	if err := json.NewDecoder(body).Decode(&wanted); err != nil || strings.TrimSpace(wanted.Name) == "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": `send {"name": "..."}`})
		return
	}
	made := item{Name: wanted.Name}
	row := s.database.QueryRow(r.Context(), `insert into items (name) values ($1) returning id, created`, made.Name)
	if err := row.Scan(&made.ID, &made.Created); err != nil {
		fail(w, err)
		return
	}
	// A job that is lost here is found again by the report.
	if err := s.cache.LPush(r.Context(), queue, made.ID).Err(); err != nil {
		fail(w, err)
		return
	}
	writeJSON(w, http.StatusCreated, made)
}

// info tells what reached this pod: its version, variables, config file, and a digest of the secret (never the secret).
func info(w http.ResponseWriter, _ *http.Request) {
	pod, _ := os.Hostname()
	settings, err := os.ReadFile("/etc/shop/settings.json")
	if err != nil {
		settings = []byte(err.Error())
	}
	digest := ""
	if token := os.Getenv("API_TOKEN"); token != "" {
		sum := sha256.Sum256([]byte(token))
		digest = hex.EncodeToString(sum[:])
	}
	writeJSON(w, http.StatusOK, map[string]string{
		"pod": pod, "version": version, "greeting": os.Getenv("GREETING"), "settings": string(settings), "tokenSha256": digest,
	})
}

// burn keeps one core busy for ?ms= milliseconds (at most 10 s), so that autoscaling can be seen.
func burn(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.Atoi(r.URL.Query().Get("ms"))
	if err != nil || ms < 0 || ms > 10_000 {
		http.Error(w, "ms must be a number of milliseconds from 0 to 10000", http.StatusBadRequest)
		return
	}
	rounds, sum := 0, sha256.Sum256(nil)
	for end := time.Now().Add(time.Duration(ms) * time.Millisecond); time.Now().Before(end) && r.Context().Err() == nil; rounds++ {
		sum = sha256.Sum256(sum[:])
	}
	writeJSON(w, http.StatusOK, map[string]any{"rounds": rounds, "digest": hex.EncodeToString(sum[:4])})
}
