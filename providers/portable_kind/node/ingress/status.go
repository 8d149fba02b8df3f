package main

import (
	"context"
	"sort"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// writeStatus puts the addresses of all nodes that this controller runs on into each Ingress. Every instance comes to the
// same list, so several need no leader.
func (w *watch) writeStatus(ctx context.Context) error {
	addresses, err := w.addresses()
	if err != nil || len(addresses) == 0 {
		return err
	}
	ingresses, err := w.served()
	if err != nil {
		return err
	}
	for _, ingress := range ingresses {
		if equality.Semantic.DeepEqual(ingress.Status.LoadBalancer.Ingress, addresses) {
			continue
		}
		changed := ingress.DeepCopy()
		changed.Status.LoadBalancer.Ingress = addresses
		_, err := w.client.NetworkingV1().Ingresses(ingress.Namespace).UpdateStatus(ctx, changed, meta.UpdateOptions{})
		if err != nil && !errors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

func (w *watch) addresses() ([]networking.IngressLoadBalancerIngress, error) {
	labelled, err := labels.NewRequirement(w.nodeLabel, selection.Exists, nil)
	if err != nil {
		return nil, err
	}
	nodes, err := w.nodes.List(labels.NewSelector().Add(*labelled))
	if err != nil {
		return nil, err
	}
	found := []networking.IngressLoadBalancerIngress{}
	for _, node := range nodes {
		for _, address := range node.Status.Addresses {
			if address.Type == core.NodeInternalIP {
				found = append(found, networking.IngressLoadBalancerIngress{IP: address.Address})
			}
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].IP < found[j].IP })
	return found, nil
}
