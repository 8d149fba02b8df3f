package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
)

const uploadLimit = 10 << 20

// uploads keeps files in $UPLOADS_DIR: PUT and GET /uploads/NAME.
func uploads(ctx context.Context) error {
	folder, err := variable("UPLOADS_DIR")
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(folder) // no name can lead out of the folder
	if err != nil {
		return err
	}
	defer root.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /uploads/{name}", func(w http.ResponseWriter, r *http.Request) { put(root, w, r) })
	mux.HandleFunc("GET /uploads/{name}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, root.FS(), r.PathValue("name"))
	})
	return serve(ctx, mux, func(context.Context) error {
		_, err := root.Stat(".")
		return err
	})
}

// put writes beside the name and renames, so that a reader never sees half a file.
func put(root *os.Root, w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !fs.ValidPath(name) || name == "." {
		http.Error(w, "not a file name", http.StatusBadRequest)
		return
	}
	partial := "." + name + ".part"
	if err := write(root, partial, http.MaxBytesReader(w, r.Body, uploadLimit)); err != nil {
		root.Remove(partial)
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, "at most 10 MiB", http.StatusRequestEntityTooLarge)
			return
		}
		fail(w, err)
		return
	}
	if err := root.Rename(partial, name); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func write(root *os.Root, name string, from io.Reader) error {
	file, err := root.Create(name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, from); err != nil {
		file.Close()
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
