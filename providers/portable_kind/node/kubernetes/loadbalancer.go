package main

import "github.com/spf13/cobra"

func newLoadBalancerCommand() *cobra.Command {
	return &cobra.Command{Use: "portable-load-balancer"}
}
