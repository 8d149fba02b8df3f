package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"sort"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// loadBalancer gives Services of type LoadBalancer an address of the nodes' own network, as MetalLB does in its layer-2 mode.
//
// One instance runs on every node. The leader writes an address into a Service's status; kube-proxy on every node then
// answers on it. Who holds the address, that is, who answers ARP for it, needs no agreement: every instance computes the
// same holder from the same list of Ready nodes, and when a node dies the next one takes over. IPv4 only.
type loadBalancer struct {
	client  kubernetes.Interface
	node    string
	pool    addressPool
	leading atomic.Bool
	changed chan struct{}

	services corelisters.ServiceLister
	nodes    corelisters.NodeLister
	slices   discoverylisters.EndpointSliceLister
}

func newLoadBalancerCommand() *cobra.Command {
	var node, pool string
	command := &cobra.Command{
		Use:   "portable-load-balancer",
		Short: "addresses for Services of type LoadBalancer, from the network that the nodes are on",
		RunE:  func(*cobra.Command, []string) error { return runLoadBalancer(node, pool) },
	}
	command.Flags().StringVar(&node, "node", os.Getenv("NODE_NAME"), "this node's name")
	command.Flags().StringVar(&pool, "pool", "", "addresses to give out: a CIDR or FIRST-LAST (default: the end of the node's network)")
	return command
}

func runLoadBalancer(node, pool string) error {
	ctx, stop := untilStopped()
	defer stop()
	client, err := connect()
	if err != nil {
		return err
	}
	lb := &loadBalancer{client: client, node: node, changed: make(chan struct{}, 1)}
	if lb.pool, err = lb.choosePool(ctx, pool); err != nil {
		return err
	}
	klog.InfoS("addresses to give out", "first", lb.pool.at(0), "last", lb.pool.at(lb.pool.size-1))
	if err := lb.watch(ctx); err != nil {
		return err
	}
	go lb.lead(ctx)
	for {
		if err := lb.reconcile(ctx); err != nil && ctx.Err() == nil {
			klog.ErrorS(err, "not everything is announced yet, trying again")
			time.AfterFunc(time.Second, func() { lb.poke(nil) })
		}
		select {
		case <-ctx.Done():
			// Another node takes the addresses over only if this one does not answer for them any more.
			_, err := syncAddresses(nil, nil, lb.pool)
			return err
		case <-lb.changed:
		}
	}
}

func (lb *loadBalancer) poke(any) {
	select {
	case lb.changed <- struct{}{}:
	default:
	}
}

func (lb *loadBalancer) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(lb.client, 30*time.Second)
	lb.services = factory.Core().V1().Services().Lister()
	lb.nodes = factory.Core().V1().Nodes().Lister()
	lb.slices = factory.Discovery().V1().EndpointSlices().Lister()
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Services().Informer(), factory.Core().V1().Nodes().Informer(), factory.Discovery().V1().EndpointSlices().Informer(),
	} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: lb.poke, DeleteFunc: lb.poke, UpdateFunc: func(_, changed any) { lb.poke(changed) },
		}); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return nil
}

// lead keeps trying to be the one instance that gives addresses out.
func (lb *loadBalancer) lead(ctx context.Context) {
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Name: "portable-load-balancer", Namespace: "kube-system"},
		Client:     lb.client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: lb.node},
	}
	for ctx.Err() == nil {
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second, ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { lb.leading.Store(true); lb.poke(nil) },
				OnStoppedLeading: func() { lb.leading.Store(false) },
			},
		})
	}
}

func (lb *loadBalancer) reconcile(ctx context.Context) error {
	services, err := lb.services.List(labels.Everything())
	if err != nil {
		return err
	}
	services = served(services)
	if lb.leading.Load() {
		if err := lb.assign(ctx, services); err != nil {
			return err
		}
	}
	nodes, err := lb.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	held, elsewhere := []net.IP{}, map[string]bool{}
	for _, service := range services {
		address := addressOf(service)
		switch {
		case address == nil || !lb.pool.contains(address):
		case lb.holder(service, nodes) == lb.node:
			held = append(held, address)
		default:
			elsewhere[address.String()] = true
		}
	}
	waiting, err := syncAddresses(held, elsewhere, lb.pool)
	if waiting {
		time.AfterFunc(time.Second, func() { lb.poke(nil) })
	}
	return err
}

// served are the Services that ask for an address and for no other controller's.
func served(all []*corev1.Service) []*corev1.Service {
	found := []*corev1.Service{}
	for _, service := range all {
		if service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil && service.DeletionTimestamp == nil {
			found = append(found, service)
		}
	}
	// The oldest first, so that two that ask for one address always end the same way.
	sort.Slice(found, func(i, j int) bool {
		if !found[i].CreationTimestamp.Equal(&found[j].CreationTimestamp) {
			return found[i].CreationTimestamp.Before(&found[j].CreationTimestamp)
		}
		return found[i].UID < found[j].UID
	})
	return found
}

func addressOf(service *corev1.Service) net.IP {
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		if ip := net.ParseIP(ingress.IP).To4(); ip != nil {
			return ip
		}
	}
	return nil
}

func (lb *loadBalancer) assign(ctx context.Context, services []*corev1.Service) error {
	used := map[string]bool{}
	for _, service := range services {
		if address := addressOf(service); address != nil {
			used[address.String()] = true
		}
	}
	for _, service := range services {
		if addressOf(service) != nil {
			continue
		}
		address, err := lb.freeAddress(service, used)
		if err != nil {
			return err
		}
		used[address.String()] = true
		changed := service.DeepCopy()
		changed.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address.String()}}
		klog.InfoS("giving out an address", "service", klog.KObj(service), "address", address)
		_, err = lb.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
		if err != nil && !errors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// freeAddress is what the Service asks for, or the first of the pool that nobody on the network answers for.
func (lb *loadBalancer) freeAddress(service *corev1.Service, used map[string]bool) (net.IP, error) {
	if asked := net.ParseIP(service.Spec.LoadBalancerIP).To4(); asked != nil && lb.pool.contains(asked) && !used[asked.String()] {
		return asked, nil
	}
	for i := uint32(0); i < lb.pool.size; i++ {
		candidate := lb.pool.at(i)
		if used[candidate.String()] {
			continue
		}
		taken, err := answersARP(lb.pool.link, candidate)
		if err != nil {
			return nil, err
		}
		if !taken {
			return candidate, nil
		}
	}
	return nil, fmt.Errorf("no address of the pool is free for %s/%s", service.Namespace, service.Name)
}

// holder is the node that answers for a Service's address: among the nodes that can serve it, the one with the highest hash
// of node and Service, so that a change of the nodes moves no more addresses than it must (rendezvous hashing).
func (lb *loadBalancer) holder(service *corev1.Service, nodes []*corev1.Node) string {
	ready, preferred := []string{}, []string{}
	for _, node := range nodes {
		if !isReady(node) {
			continue
		}
		ready = append(ready, node.Name)
		if _, excluded := node.Labels[corev1.LabelNodeExcludeBalancers]; !excluded {
			preferred = append(preferred, node.Name)
		}
	}
	candidates := ready
	if len(preferred) > 0 {
		candidates = preferred
	}
	if service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		candidates = lb.withEndpoints(service, ready)
	}
	best, highest := "", uint64(0)
	for _, name := range candidates {
		if value := hashOf(name, string(service.UID)); best == "" || value > highest {
			best, highest = name, value
		}
	}
	return best
}

// withEndpoints: under the Local policy only a node with a ready pod passes traffic on.
func (lb *loadBalancer) withEndpoints(service *corev1.Service, nodes []string) []string {
	slices, err := lb.slices.EndpointSlices(service.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name}))
	if err != nil {
		return nodes
	}
	has := map[string]bool{}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			if endpoint.NodeName != nil && (endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready) {
				has[*endpoint.NodeName] = true
			}
		}
	}
	found := []string{}
	for _, node := range nodes {
		if has[node] {
			found = append(found, node)
		}
	}
	return found
}

func isReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func hashOf(parts ...string) uint64 {
	hash := fnv.New64a()
	for _, part := range parts {
		hash.Write([]byte(part))
		hash.Write([]byte{0})
	}
	return hash.Sum64()
}

// choosePool reads the flag, or takes the end of the node's own network, starting at a place that depends on the cluster:
// several clusters on one Docker network then hardly ever meet, and where they do, ARP tells.
func (lb *loadBalancer) choosePool(ctx context.Context, flag string) (addressPool, error) {
	node, err := lb.client.CoreV1().Nodes().Get(ctx, lb.node, metav1.GetOptions{})
	if err != nil {
		return addressPool{}, err
	}
	link, network, err := linkOf(nodeIPv4(node))
	if err != nil {
		return addressPool{}, err
	}
	if flag != "" {
		return parsePool(flag, link)
	}
	cluster, err := lb.client.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{})
	if err != nil {
		return addressPool{}, err
	}
	return poolAtEndOf(network, link, hashOf(string(cluster.UID))), nil
}

// linkOf finds the interface that has the node's address, and the network that it is on.
func linkOf(address net.IP) (netlink.Link, *net.IPNet, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, nil, err
	}
	for _, link := range links {
		addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			return nil, nil, err
		}
		for _, found := range addresses {
			if found.IP.Equal(address) {
				return link, found.IPNet, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("no interface of this node has its address %s", address)
}
