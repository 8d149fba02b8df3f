package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"sigs.k8s.io/knftables"
)

// routeProtocol marks the routes that are ours in `ip route` (99; see rtnetlink(7), anything above RTPROT_STATIC is free).
const routeProtocol = 99

// nodeNetwork does for a cluster of containers on one Docker network what kindnet does: a CNI configuration for the
// node's own pods, a route to every other node's, and masquerading for what leaves the pod network. IPv4 only.
type nodeNetwork struct {
	node      string
	podSubnet *net.IPNet
	cniFile   string
	nodes     listers.NodeLister
}

func newNodeNetworkCommand() *cobra.Command {
	var node, podSubnet, cniFile string
	command := &cobra.Command{
		Use:   "portable-node-network",
		Short: "pod network of one node: CNI configuration, routes to the other nodes' pods, masquerading",
		RunE: func(*cobra.Command, []string) error {
			_, subnet, err := net.ParseCIDR(podSubnet)
			if err != nil || subnet.IP.To4() == nil {
				return fmt.Errorf("--pod-subnet %q is no IPv4 network", podSubnet)
			}
			return (&nodeNetwork{node: node, podSubnet: subnet, cniFile: cniFile}).run()
		},
	}
	command.Flags().StringVar(&node, "node", os.Getenv("NODE_NAME"), "this node's name")
	command.Flags().StringVar(&podSubnet, "pod-subnet", os.Getenv("POD_SUBNET"), "the network that all pods' addresses are from")
	command.Flags().StringVar(&cniFile, "cni-file", "/etc/cni/net.d/10-portable.conflist", "where the CNI configuration goes")
	return command
}

func (n *nodeNetwork) run() error {
	ctx, stop := untilStopped()
	defer stop()
	client, err := connect()
	if err != nil {
		return err
	}
	if err := n.masquerade(ctx); err != nil {
		return fmt.Errorf("masquerading: %w", err)
	}
	// The resync repairs a route that somebody else removed.
	factory := informers.NewSharedInformerFactory(client, 30*time.Second)
	informer := factory.Core().V1().Nodes()
	n.nodes = informer.Lister()
	changed := make(chan struct{}, 1)
	poke := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	_, err = informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: poke, DeleteFunc: poke, UpdateFunc: func(_, node any) { poke(node) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced)
	for {
		if err := n.reconcile(); err != nil {
			klog.ErrorS(err, "network not complete yet, trying again")
			time.AfterFunc(time.Second, func() { poke(nil) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

func (n *nodeNetwork) reconcile() error {
	nodes, err := n.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	wanted := map[string]net.IP{}
	for _, node := range nodes {
		subnet, gateway := podSubnetOf(node), nodeIPv4(node)
		switch {
		case subnet == nil || gateway == nil:
			klog.InfoS("node has no pod network or no address yet", "node", node.Name)
		case node.Name == n.node:
			if err := n.writeCNI(subnet); err != nil {
				return err
			}
		default:
			wanted[subnet.String()] = gateway
		}
	}
	return syncRoutes(wanted)
}

func podSubnetOf(node *corev1.Node) *net.IPNet {
	for _, cidr := range append(node.Spec.PodCIDRs, node.Spec.PodCIDR) {
		if _, subnet, err := net.ParseCIDR(cidr); err == nil && subnet.IP.To4() != nil {
			return subnet
		}
	}
	return nil
}

// writeCNI makes the node Ready: containerd watches the folder. The plugin is ptp and not bridge, as in kindnet: every
// packet between pods is routed, so Services work without the br_netfilter module.
func (n *nodeNetwork) writeCNI(subnet *net.IPNet) error {
	content, err := json.MarshalIndent(map[string]any{
		"cniVersion": "1.0.0",
		"name":       "portable",
		"plugins": []any{
			map[string]any{
				"type":   "ptp",
				"ipMasq": false,
				"ipam": map[string]any{
					"type": "host-local",
					// In memory: after a restart of the node no pod is left that could still hold an address.
					"dataDir": "/run/cni-ipam-state",
					"routes":  []any{map[string]string{"dst": "0.0.0.0/0"}},
					"ranges":  []any{[]any{map[string]string{"subnet": subnet.String()}}},
				},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	}, "", " ")
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(n.cniFile); err == nil && string(old) == string(content) {
		return nil
	}
	temporary := filepath.Join(filepath.Dir(n.cniFile), ".portable.tmp")
	if err := os.WriteFile(temporary, content, 0o644); err != nil {
		return err
	}
	klog.InfoS("writing the CNI configuration", "file", n.cniFile, "subnet", subnet)
	return os.Rename(temporary, n.cniFile)
}

// syncRoutes makes our routes in the main table exactly `wanted`: pod network -> address of its node.
func syncRoutes(wanted map[string]net.IP) error {
	filter := &netlink.Route{Protocol: routeProtocol, Table: unix.RT_TABLE_MAIN}
	present, err := netlink.RouteListFiltered(netlink.FAMILY_V4, filter, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("listing routes: %w", err)
	}
	right := map[string]bool{}
	for _, route := range present {
		if route.Dst != nil && route.Gw.Equal(wanted[route.Dst.String()]) {
			right[route.Dst.String()] = true
			continue
		}
		if err := netlink.RouteDel(&route); err != nil {
			return fmt.Errorf("deleting route %s: %w", route, err)
		}
	}
	for cidr, gateway := range wanted {
		if right[cidr] {
			continue
		}
		_, subnet, _ := net.ParseCIDR(cidr)
		klog.InfoS("adding route", "to", cidr, "via", gateway)
		route := &netlink.Route{Dst: subnet, Gw: gateway, Protocol: routeProtocol}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("adding route to %s via %s: %w", cidr, gateway, err)
		}
	}
	return nil
}

// masquerade lets pods speak to what does not know the pod network, under their node's address; pods see each other's own.
func (n *nodeNetwork) masquerade(ctx context.Context) error {
	nft, err := knftables.New(knftables.IPv4Family, "portable-node-network")
	if err != nil {
		return err
	}
	transaction := nft.NewTransaction()
	transaction.Add(&knftables.Table{})
	transaction.Add(&knftables.Chain{
		Name:     "postrouting",
		Type:     knftables.PtrTo(knftables.NATType),
		Hook:     knftables.PtrTo(knftables.PostroutingHook),
		Priority: knftables.PtrTo(knftables.SNATPriority),
	})
	transaction.Flush(&knftables.Chain{Name: "postrouting"})
	transaction.Add(&knftables.Rule{
		Chain: "postrouting",
		Rule:  knftables.Concat("ip saddr", n.podSubnet, "ip daddr !=", n.podSubnet, "masquerade"),
	})
	return nft.Run(ctx, transaction)
}
