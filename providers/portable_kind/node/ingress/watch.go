package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sort"
	"strconv"
	"time"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
)

const httpsPortLabel = "portable.dev/https-port"

type watch struct {
	client    kubernetes.Interface
	class     string
	nodeLabel string
	node      string
	changed   chan struct{}

	ingresses networkinglisters.IngressLister
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	secrets   corelisters.SecretLister
	nodes     corelisters.NodeLister
}

// startWatch returns when the first complete table is there.
func startWatch(ctx context.Context, client kubernetes.Interface, class, nodeLabel, node string) (*watch, error) {
	w := &watch{client: client, class: class, nodeLabel: nodeLabel, node: node, changed: make(chan struct{}, 1)}
	all := informers.NewSharedInformerFactory(client, 0)
	// No other kind of secret is ever asked for.
	certificates := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(func(o *meta.ListOptions) {
		o.FieldSelector = "type=" + string(core.SecretTypeTLS)
	}))
	w.ingresses = all.Networking().V1().Ingresses().Lister()
	w.services = all.Core().V1().Services().Lister()
	w.slices = all.Discovery().V1().EndpointSlices().Lister()
	w.nodes = all.Core().V1().Nodes().Lister()
	w.secrets = certificates.Core().V1().Secrets().Lister()
	for _, informer := range []cache.SharedIndexInformer{
		all.Networking().V1().Ingresses().Informer(), all.Core().V1().Services().Informer(),
		all.Discovery().V1().EndpointSlices().Informer(), all.Core().V1().Nodes().Informer(),
		certificates.Core().V1().Secrets().Informer(),
	} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: w.poke, DeleteFunc: w.poke, UpdateFunc: func(_, changed any) { w.poke(changed) },
		}); err != nil {
			return nil, err
		}
	}
	for _, factory := range []informers.SharedInformerFactory{all, certificates} {
		factory.Start(ctx.Done())
		factory.WaitForCacheSync(ctx.Done())
	}
	return w, w.rebuild()
}

func (w *watch) poke(any) {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// follow replaces the table at every change, until ctx ends.
func (w *watch) follow(ctx context.Context) {
	for {
		if err := w.rebuild(); err != nil {
			slog.Error("the routes stay as they were", "error", err)
		}
		if err := w.writeStatus(ctx); err != nil && ctx.Err() == nil {
			slog.Warn("the addresses are not in every Ingress yet, trying again", "error", err)
			time.AfterFunc(2*time.Second, func() { w.poke(nil) })
		}
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
		}
	}
}

// served lists the Ingress objects of our class, oldest first.
func (w *watch) served() ([]*networking.Ingress, error) {
	listed, err := w.ingresses.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	served := []*networking.Ingress{}
	for _, ingress := range listed {
		if ingress.Spec.IngressClassName != nil && *ingress.Spec.IngressClassName == w.class {
			served = append(served, ingress)
		}
	}
	sort.Slice(served, func(i, j int) bool {
		a, b := served[i], served[j]
		if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
			return a.CreationTimestamp.Before(&b.CreationTimestamp)
		}
		return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
	})
	return served, nil
}

func (w *watch) rebuild() error {
	ingresses, err := w.served()
	if err != nil {
		return err
	}
	made := &table{
		routes:       map[string][]route{},
		endpoints:    map[backendKey][]string{},
		notReady:     map[string]bool{},
		certificates: map[string]*tls.Certificate{},
	}
	for _, ingress := range ingresses {
		made.add(ingress)
		w.addCertificates(made, ingress)
	}
	made.sort()
	for _, routes := range made.routes {
		for _, route := range routes {
			if _, done := made.endpoints[route.backend]; !done {
				made.endpoints[route.backend] = w.endpointsOf(route.backend, made.notReady)
			}
		}
	}
	if node, err := w.nodes.Get(w.node); err == nil {
		made.httpsPort = node.Labels[httpsPortLabel]
	}
	current.Store(made)
	return nil
}

func (w *watch) addCertificates(made *table, ingress *networking.Ingress) {
	for _, entry := range ingress.Spec.TLS {
		secret, err := w.secrets.Secrets(ingress.Namespace).Get(entry.SecretName)
		if err != nil {
			slog.Warn("a TLS secret is missing", "ingress", ingress.Namespace+"/"+ingress.Name, "secret", entry.SecretName)
			continue
		}
		pair, err := tls.X509KeyPair(secret.Data[core.TLSCertKey], secret.Data[core.TLSPrivateKeyKey])
		if err != nil {
			slog.Warn("a TLS secret holds no usable pair", "ingress", ingress.Namespace+"/"+ingress.Name, "secret", entry.SecretName)
			continue
		}
		for _, host := range entry.Hosts {
			if made.certificates[host] == nil {
				made.certificates[host] = &pair
			}
		}
	}
}

func keyOf(namespace string, backend *networking.IngressServiceBackend) backendKey {
	port := backend.Port.Name
	if port == "" {
		port = strconv.Itoa(int(backend.Port.Number))
	}
	return backendKey{namespace: namespace, service: backend.Name, port: port}
}

// endpointsOf gives the addresses of a Service's ready pods; with none ready, those that still serve while they end
// (as kube-proxy does, KEP-1669). Pods that are neither go into notReady.
func (w *watch) endpointsOf(key backendKey, notReady map[string]bool) []string {
	service, err := w.services.Services(key.namespace).Get(key.service)
	if err != nil {
		return nil
	}
	portName, found := portNameOf(service, key.port)
	if !found {
		return nil
	}
	slices, err := w.slices.EndpointSlices(key.namespace).List(labels.SelectorFromSet(labels.Set{discovery.LabelServiceName: key.service}))
	if err != nil {
		return nil
	}
	var ready, ending []string
	for _, slice := range slices {
		for _, port := range slice.Ports {
			if port.Port == nil || (port.Name != nil && *port.Name != portName) {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				if len(endpoint.Addresses) == 0 {
					continue
				}
				address := net.JoinHostPort(endpoint.Addresses[0], strconv.Itoa(int(*port.Port)))
				switch conditions := endpoint.Conditions; {
				case conditions.Ready == nil || *conditions.Ready:
					ready = append(ready, address)
				case conditions.Serving != nil && *conditions.Serving:
					ending = append(ending, address)
				case conditions.Terminating == nil || !*conditions.Terminating:
					notReady[address] = true
				}
			}
		}
	}
	if len(ready) == 0 {
		return ending
	}
	return ready
}

func portNameOf(service *core.Service, wanted string) (string, bool) {
	for _, port := range service.Spec.Ports {
		if port.Name == wanted || strconv.Itoa(int(port.Port)) == wanted {
			return port.Name, true
		}
	}
	return "", false
}
