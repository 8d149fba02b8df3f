package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const claim = "files"

// ends makes both movers of a pair in this process, with volumes of their own and one TLS connection between them.
func ends(t testing.TB) (source, target *mover) {
	t.Helper()
	certificate, authority := selfSigned(t)
	made := map[string]*mover{}
	for _, role := range []string{"source", "target"} {
		config := &tls.Config{
			Certificates: []tls.Certificate{certificate}, RootCAs: authority, ClientCAs: authority, ServerName: "target",
			MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert,
		}
		mover := &mover{role: role, root: t.TempDir(), running: map[string]*run{}}
		mover.tunnel = newTunnel(role, config, mover.accept)
		if err := os.Mkdir(mover.volume(claim), 0o777); err != nil {
			t.Fatal(err)
		}
		made[role] = mover
	}
	source, target = made["source"], made["target"]
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				if session, err := target.tunnel.secure(ctx, conn); err == nil {
					target.tunnel.serve(session)
				}
			}()
		}
	}()
	for range 2 {
		go source.tunnel.keepDialled(ctx, listener.Addr().String())
	}
	return source, target
}

func selfSigned(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wanted := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"target"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	made, err := x509.CreateCertificate(rand.Reader, wanted, wanted, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(made)
	if err != nil {
		t.Fatal(err)
	}
	authority := x509.NewCertPool()
	authority.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{made}, PrivateKey: key}, authority
}

// fill makes so many files of so many bytes, a hundred to a folder.
func fill(t testing.TB, root string, files, size int) {
	t.Helper()
	content := make([]byte, size)
	rand.Read(content)
	for number := range files {
		folder := filepath.Join(root, fmt.Sprintf("%04d", number/100))
		if number%100 == 0 {
			if err := os.Mkdir(folder, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%06d", number)), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// copyOnce makes one copy and fails on what it leaves different.
func copyOnce(t *testing.T, source *mover, final bool) copied {
	t.Helper()
	copying := &copying{mover: source, claim: claim, root: source.volume(claim), final: final, streams: 4, top: true, began: time.Now()}
	done, err := copying.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	proof, err := (&verifying{mover: source, claim: claim, root: source.volume(claim), top: true}).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(proof.Differences) > 0 {
		t.Errorf("%q", proof.Differences)
	}
	return done
}

// Hard links and folders' times wait for what they depend on, but not for another comparison.
func TestACopyWhileTheSourceServesIsWholeAfterOneComparison(t *testing.T) {
	for _, most := range []int{mostLast, 2} { // also with no room for what has to wait
		defer func(usual int) { mostLast = usual }(mostLast)
		mostLast = most
		source, _ := ends(t)
		root := source.volume(claim)
		fill(t, root, 250, 100)
		for number := range 5 {
			must(t, os.Link(filepath.Join(root, fmt.Sprintf("0000/%06d", number)), filepath.Join(root, fmt.Sprintf("0001/a link %d", number))))
		}
		settle(t, root)
		if done := copyOnce(t, source, false); done.Rounds != 1 || done.Files != 255 {
			t.Errorf("first: %+v", done)
		}
		// The folder itself keeps its time: only what is in it says that something happened.
		must(t, os.Remove(filepath.Join(root, "0000/000007")), os.WriteFile(filepath.Join(root, "0000/000001"), []byte("changed"), 0o640))
		settle(t, root)
		if done := copyOnce(t, source, false); done.Rounds != 1 || done.Changed != 3 { // with the link to what changed
			t.Errorf("second: %+v", done)
		}
		if done := copyOnce(t, source, true); done.Rounds != 1 || done.Changed != 0 {
			t.Errorf("last: %+v", done)
		}
	}
}

// settle gives everything a time at which nothing is written to any more.
func settle(t *testing.T, root string) {
	t.Helper()
	long := time.Unix(1_500_000_000, 0)
	must(t, filepath.Walk(root, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Chtimes(path, long, long))
	}))
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// processorTime is what this process and those that it waited for have had.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var total time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var used unix.Rusage
		if err := unix.Getrusage(who, &used); err != nil {
			t.Fatal(err)
		}
		total += time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	return total
}

// The first copy of many small files, beside tar's: `go test -run '^$' -bench Small -benchtime 3x`.
func BenchmarkSmallFiles(b *testing.B) {
	files := 20_000
	if wanted, err := strconv.Atoi(os.Getenv("FILES")); err == nil {
		files = wanted
	}
	source, target := ends(b)
	from, to := source.volume(claim), target.volume(claim)
	fill(b, from, files, 4096)
	ways := map[string]func() error{
		"mover": func() error {
			_, err := (&copying{mover: source, claim: claim, root: from, streams: 4, top: true, began: time.Now()}).run(b.Context())
			return err
		},
		"tar": func() error {
			return exec.Command("sh", "-c", fmt.Sprintf("tar -C %s -cf - . | tar -C %s -xpf -", from, to)).Run()
		},
	}
	for _, way := range []string{"tar", "mover"} {
		b.Run(way, func(b *testing.B) {
			var processor time.Duration
			for range b.N {
				b.StopTimer()
				// Not removed yet: ext4 spends more on getting past inodes that were freed a moment ago than on making new ones.
				if err := os.Rename(to, fmt.Sprintf("%s-%d", to, time.Now().UnixNano())); err != nil {
					b.Fatal(err)
				}
				if err := os.Mkdir(to, 0o777); err != nil {
					b.Fatal(err)
				}
				exec.Command("sync").Run()
				before := processorTime(b)
				b.StartTimer()
				if err := ways[way](); err != nil {
					b.Fatal(err)
				}
				processor += processorTime(b) - before
			}
			b.ReportMetric(float64(processor.Microseconds())/float64(files*b.N), "µs-processor/file")
			b.ReportMetric(float64(files*b.N)/b.Elapsed().Seconds(), "files/s")
		})
	}
}
