// portable-ingress serves the Ingress objects of one class with an embedded Caddy.
//
// Caddy's configuration is loaded once and never again: which backend a request goes to, its endpoints and the certificate
// of a host are looked up for each request in a table that the watch replaces. So no change of any object, be it an
// endpoint in a rolling update or a new route, restarts a listener or cuts a connection.
//
//	watch.go         the API server's objects -> table
//	table.go         which backend a host and path belong to
//	modules.go       Caddy's three questions (route, upstreams, certificate), answered from the table
//	transport.go     requests to pods that neither answer nor hang up are taken back
//	status.go        the controller's addresses into the Ingress objects' status
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func main() {
	class := flag.String("class", "portable", "serve the Ingress objects of this class")
	nodes := flag.String("nodes", "node-role.kubernetes.io/control-plane", "label of the nodes that this runs on: their addresses go into the status")
	node := flag.String("node", os.Getenv("NODE_NAME"), "this node's name; its label portable.dev/https-port says where clients reach port 443")
	drain := flag.Duration("drain", 25*time.Second, "how long requests in flight may take when this is stopped")
	flag.Parse()
	if err := run(*class, *nodes, *node, *drain); err != nil {
		slog.Error("portable-ingress ends", "error", err)
		os.Exit(1)
	}
}

func run(class, nodeLabel, node string, drain time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	watch, err := startWatch(ctx, client, class, nodeLabel, node)
	if err != nil {
		return err
	}
	// Only now: whoever gets a connection gets an answer from a table that is complete.
	configuration, err := json.Marshal(caddyConfiguration(drain))
	if err != nil {
		return err
	}
	if err := caddy.Load(configuration, true); err != nil {
		return err
	}
	slog.Info("serving", "class", class)
	watch.follow(ctx)
	return caddy.Stop()
}

type object = map[string]any

func caddyConfiguration(drain time.Duration) object {
	handlers := []object{{"handler": "portable_route"}, {
		"handler":           "reverse_proxy",
		"dynamic_upstreams": object{"source": "portable"},
		"load_balancing": object{
			"selection_policy": object{"policy": "least_conn"},
			// What cannot be connected, or may be sent again and was not answered, is tried elsewhere; with no endpoint ready, this
			// is how long one waits. Longer than readiness takes to notice a pod that hangs (7 s by portable's defaults).
			"try_duration": "20s",
			"try_interval": "100ms",
			"retry_match":  []object{{"method": []string{"GET", "HEAD", "OPTIONS"}}},
		},
		"health_checks": object{"passive": object{"fail_duration": "1s", "max_fails": 1}},
		"transport": object{
			"protocol":     "portable",
			"dial_timeout": "2s",
			// Shorter than what common servers keep idle connections for, so that they never close one under a request.
			"keep_alive": object{"enabled": true, "idle_timeout": "3s", "probe_interval": "2s", "max_idle_conns_per_host": 100},
		},
	}}
	server := func(port string) object {
		return object{
			"listen":          []string{port},
			"automatic_https": object{"disable": true},
			"protocols":       []string{"h1", "h2"},
			"routes":          []object{{"handle": handlers}},
		}
	}
	https := server(":443")
	https["tls_connection_policies"] = []object{{}}
	return object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "WARN"}}},
		"apps": object{
			"tls": object{"automation": object{"policies": []object{{"get_certificate": []object{{"via": "portable"}}}}}},
			"http": object{
				"grace_period": caddy.Duration(drain),
				"servers":      object{"http": server(":80"), "https": https},
			},
		},
	}
}
