package main

import (
	"crypto/tls"
	"testing"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// ingress makes one with a rule for a host; each path is "=/exact" or "/prefix", and is its backend's name too.
func ingress(host string, secure bool, paths ...string) *networking.Ingress {
	made := &networking.Ingress{ObjectMeta: meta.ObjectMeta{Namespace: "shop"}}
	rule := networking.IngressRule{Host: host, IngressRuleValue: networking.IngressRuleValue{HTTP: &networking.HTTPIngressRuleValue{}}}
	for _, path := range paths {
		kind, name := networking.PathTypePrefix, path
		if path[0] == '=' {
			kind, path = networking.PathTypeExact, path[1:]
		}
		rule.HTTP.Paths = append(rule.HTTP.Paths, networking.HTTPIngressPath{Path: path, PathType: &kind, Backend: networking.IngressBackend{
			Service: &networking.IngressServiceBackend{Name: host + name, Port: networking.ServiceBackendPort{Number: 80}},
		}})
	}
	made.Spec.Rules = []networking.IngressRule{rule}
	if secure {
		made.Spec.TLS = []networking.IngressTLS{{Hosts: []string{host}}}
	}
	return made
}

func tableOf(ingresses ...*networking.Ingress) *table {
	made := &table{routes: map[string][]route{}, certificates: map[string]*tls.Certificate{}}
	for _, each := range ingresses {
		made.add(each)
	}
	made.sort()
	return made
}

func TestMatch(t *testing.T) {
	table := tableOf(
		ingress("shop.test", false, "/", "/api", "/api/v2", "=/api/v2/exact"),
		ingress("*.shop.test", false, "/"),
		ingress("", false, "/any"),
		ingress("Upper.test", false, "/Case"),
	)
	for _, each := range []struct{ host, path, want string }{
		{"shop.test", "/", "shop.test/"},
		{"shop.test:8080", "/x", "shop.test/"},
		{"SHOP.test.", "/x", "shop.test/"},
		{"shop.test", "/api", "shop.test/api"},
		{"shop.test", "/api/", "shop.test/api"},
		{"shop.test", "/api/v1", "shop.test/api"},
		{"shop.test", "/apiary", "shop.test/"},
		{"shop.test", "/api/v2/x", "shop.test/api/v2"},
		{"shop.test", "/api/v2/exact", "shop.test=/api/v2/exact"},
		{"shop.test", "/api/v2/exact/x", "shop.test/api/v2"},
		{"a.shop.test", "/x", "*.shop.test/"},
		{"a.b.shop.test", "/x", ""},
		{"a.b.shop.test", "/any/x", "/any"},
		{"other.test", "/any", "/any"},
		{"other.test", "/none", ""},
		{"upper.test", "/Case/x", "Upper.test/Case"},
		{"upper.test", "/case/x", ""},
	} {
		got := ""
		if found := table.match(each.host, each.path); found != nil {
			got = found.backend.service
		}
		if got != each.want {
			t.Errorf("%s%s: got %q, want %q", each.host, each.path, got, each.want)
		}
	}
}

func TestOnlyHostsUnderTLSAreRedirected(t *testing.T) {
	table := tableOf(ingress("secure.test", true, "/"), ingress("plain.test", false, "/"))
	if !table.match("secure.test", "/").https || table.match("plain.test", "/").https {
		t.Error("the redirect follows the Ingress's tls hosts")
	}
}

func TestDefaultBackendComesLast(t *testing.T) {
	fallback := &networking.Ingress{ObjectMeta: meta.ObjectMeta{Namespace: "shop"}}
	fallback.Spec.DefaultBackend = &networking.IngressBackend{Service: &networking.IngressServiceBackend{Name: "fallback"}}
	table := tableOf(fallback, ingress("shop.test", false, "/api"))
	if got := table.match("shop.test", "/other").backend.service; got != "fallback" {
		t.Errorf("got %q", got)
	}
	if got := table.match("shop.test", "/api").backend.service; got != "shop.test/api" {
		t.Errorf("got %q", got)
	}
}

func TestWherePlainRequestsAreSent(t *testing.T) {
	for _, each := range []struct{ host, port, want string }{
		{"a.test", "", "a.test"}, {"a.test:80", "443", "a.test"}, {"a.test:8080", "8443", "a.test:8443"},
	} {
		if got := securePlace(each.host, each.port); got != each.want {
			t.Errorf("%s and %s: got %q, want %q", each.host, each.port, got, each.want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	yes, no := true, false
	slice := &discovery.EndpointSlice{
		ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "web-1", Labels: map[string]string{discovery.LabelServiceName: "web"}},
		Ports:      []discovery.EndpointPort{{Port: new(int32)}},
	}
	*slice.Ports[0].Port = 8080
	endpoint := func(address string, ready, serving, terminating *bool) {
		slice.Endpoints = append(slice.Endpoints, discovery.Endpoint{
			Addresses:  []string{address},
			Conditions: discovery.EndpointConditions{Ready: ready, Serving: serving, Terminating: terminating},
		})
	}
	endpoint("10.0.0.1", &yes, &yes, &no)
	endpoint("10.0.0.2", &no, &yes, &yes)
	endpoint("10.0.0.3", &no, &no, &yes)
	endpoint("10.0.0.4", &no, &no, &no)
	services, slices := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}), cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	service := &core.Service{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: core.ServiceSpec{Ports: []core.ServicePort{{Port: 80}}}}
	for indexer, object := range map[cache.Indexer]any{services: service, slices: slice} {
		if err := indexer.Add(object); err != nil {
			t.Fatal(err)
		}
	}
	w := &watch{services: corelisters.NewServiceLister(services), slices: discoverylisters.NewEndpointSliceLister(slices)}
	notReady := map[string]bool{}
	if found := w.endpointsOf(backendKey{"shop", "web", "80"}, notReady); len(found) != 1 || found[0] != "10.0.0.1:8080" {
		t.Errorf("of four pods the ready one serves, not %v", found)
	}
	if len(notReady) != 1 || !notReady["10.0.0.4:8080"] {
		t.Errorf("one that is ending may take its time to answer; not ready is 10.0.0.4 alone, not %v", notReady)
	}
	slice.Endpoints = slice.Endpoints[1:]
	if found := w.endpointsOf(backendKey{"shop", "web", "80"}, notReady); len(found) != 1 || found[0] != "10.0.0.2:8080" {
		t.Errorf("with none ready the ending one that still serves, not %v", found)
	}
}
