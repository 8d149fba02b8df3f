package main

import (
	"crypto/tls"
	"net"
	"sort"
	"strings"
	"sync/atomic"

	networking "k8s.io/api/networking/v1"
)

// backendKey names a port of a Service; `port` is its name, or its number in decimal.
type backendKey struct{ namespace, service, port string }

type route struct {
	path    string
	exact   bool
	backend backendKey
	// https: plain requests are sent there, because the Ingress names the host under `tls`.
	https bool
}

// table is everything that a request needs. It is never changed, only replaced.
type table struct {
	routes       map[string][]route // by host: "a.example", "*.example", or "" for every host
	endpoints    map[backendKey][]string
	notReady     map[string]bool             // addresses of pods that should serve and do not; those that are ending are not among them
	certificates map[string]*tls.Certificate // by host, as above
	httpsPort    string
}

var current atomic.Pointer[table]

// match finds the route of a request as the Ingress API says: the exact host before a wildcard before none; there, an exact
// path before a prefix, and the longest prefix first. https://kubernetes.io/docs/concepts/services-networking/ingress
func (t *table) match(hostPort, path string) *route {
	for _, host := range candidates(hostPort) {
		for i := range t.routes[host] {
			if t.routes[host][i].matches(path) {
				return &t.routes[host][i]
			}
		}
	}
	return nil
}

func (t *table) certificate(serverName string) *tls.Certificate {
	for _, host := range candidates(serverName) {
		if found := t.certificates[host]; found != nil {
			return found
		}
	}
	return nil
}

// candidates: a wildcard stands for one label.
func candidates(hostPort string) []string {
	host := hostPort
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, parent, found := strings.Cut(host, "."); found {
		return []string{host, "*." + parent, ""}
	}
	return []string{host, ""}
}

func (r *route) matches(path string) bool {
	if r.exact {
		return path == r.path
	}
	// Whole elements: the prefix /a is no prefix of /ab.
	prefix := strings.TrimSuffix(r.path, "/")
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/')
}

func (t *table) add(ingress *networking.Ingress) {
	secured := map[string]bool{}
	for _, entry := range ingress.Spec.TLS {
		for _, host := range entry.Hosts {
			secured[strings.ToLower(host)] = true
		}
	}
	for _, rule := range ingress.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		host := strings.ToLower(rule.Host)
		for _, path := range rule.HTTP.Paths {
			if path.Backend.Service == nil {
				continue
			}
			t.routes[host] = append(t.routes[host], route{
				path:    path.Path,
				exact:   path.PathType != nil && *path.PathType == networking.PathTypeExact,
				backend: keyOf(ingress.Namespace, path.Backend.Service),
				https:   secured[host],
			})
		}
	}
	if fallback := ingress.Spec.DefaultBackend; fallback != nil && fallback.Service != nil {
		t.routes[""] = append(t.routes[""], route{path: "/", backend: keyOf(ingress.Namespace, fallback.Service)})
	}
}

// sort orders the routes of each host as they are tried. The sort is stable: of two equal routes the older Ingress wins.
func (t *table) sort() {
	for _, routes := range t.routes {
		sort.SliceStable(routes, func(i, j int) bool {
			if routes[i].exact != routes[j].exact {
				return routes[i].exact
			}
			return len(routes[i].path) > len(routes[j].path)
		})
	}
}
