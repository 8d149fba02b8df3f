package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// poolSize is how many addresses a pool has that was not asked for: the last ones of the network.
const poolSize = 4096

// slotSize is how many of them a cluster takes before it reaches the next cluster's.
const slotSize = 32

// addressPool is a run of IPv4 addresses on the network of `link`. `start` is where giving out begins; it wraps around.
type addressPool struct {
	link        netlink.Link
	first       uint32
	size, start uint32
}

func (p addressPool) at(i uint32) net.IP {
	return toIP(p.first + (p.start+i)%p.size)
}

func (p addressPool) contains(ip net.IP) bool {
	four := ip.To4()
	return four != nil && binary.BigEndian.Uint32(four)-p.first < p.size
}

func toIP(number uint32) net.IP {
	return binary.BigEndian.AppendUint32(nil, number)
}

// poolAtEndOf leaves the beginning of the network to Docker, which numbers containers from there.
func poolAtEndOf(network *net.IPNet, link netlink.Link, seed uint64) addressPool {
	ones, bits := network.Mask.Size()
	total := uint32(1) << (bits - ones)
	// At most the last quarter, less the broadcast address.
	size := min(total/4, poolSize) - 1
	base := binary.BigEndian.Uint32(network.IP.Mask(network.Mask).To4())
	slots := max(size/slotSize, 1)
	return addressPool{link: link, first: base + total - 1 - size, size: size, start: uint32(seed%uint64(slots)) * slotSize}
}

// parsePool reads "172.18.255.0/24" or "172.18.255.10-172.18.255.20".
func parsePool(text string, link netlink.Link) (addressPool, error) {
	if from, to, isRange := strings.Cut(text, "-"); isRange {
		first, last := net.ParseIP(strings.TrimSpace(from)).To4(), net.ParseIP(strings.TrimSpace(to)).To4()
		if first != nil && last != nil && binary.BigEndian.Uint32(first) <= binary.BigEndian.Uint32(last) {
			begin := binary.BigEndian.Uint32(first)
			return addressPool{link: link, first: begin, size: binary.BigEndian.Uint32(last) - begin + 1}, nil
		}
	} else if _, network, err := net.ParseCIDR(text); err == nil && network.IP.To4() != nil {
		ones, bits := network.Mask.Size()
		return addressPool{link: link, first: binary.BigEndian.Uint32(network.IP.To4()), size: uint32(1) << (bits - ones)}, nil
	}
	return addressPool{}, fmt.Errorf("--pool %q is neither an IPv4 network nor FIRST-LAST", text)
}

// syncAddresses makes the pool's addresses on the node's interface exactly `wanted`, and tells the network about new ones.
//
// An address that is held `elsewhere` from now on is kept until another node answers for it: a node that comes back is Ready
// before its load balancer runs. `waiting` says that there is such an address.
func syncAddresses(wanted []net.IP, elsewhere map[string]bool, pool addressPool) (waiting bool, err error) {
	present, err := netlink.AddrList(pool.link, netlink.FAMILY_V4)
	if err != nil {
		return false, err
	}
	missing := map[string]net.IP{}
	for _, ip := range wanted {
		missing[ip.String()] = ip
	}
	for _, address := range present {
		name := address.IP.String()
		// The node's own address has the network's mask.
		if ones, _ := address.Mask.Size(); ones != 32 || !pool.contains(address.IP) {
			continue
		}
		if missing[name] != nil {
			delete(missing, name)
			continue
		}
		if elsewhere[name] {
			answered, err := answersARP(pool.link, address.IP)
			if err != nil {
				return waiting, err
			}
			if !answered {
				waiting = true
				continue
			}
		}
		klog.InfoS("giving up an address", "address", name)
		if err := netlink.AddrDel(pool.link, &address); err != nil {
			return waiting, fmt.Errorf("removing %s: %w", name, err)
		}
	}
	for _, ip := range missing {
		if err := hold(pool.link, ip); err != nil {
			return waiting, err
		}
	}
	return waiting, nil
}

func hold(link netlink.Link, ip net.IP) error {
	klog.InfoS("answering for an address", "address", ip)
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(32, 32)}}); err != nil {
		return fmt.Errorf("adding %s: %w", ip, err)
	}
	if err := announce(link, ip); err != nil {
		return fmt.Errorf("announcing %s: %w", ip, err)
	}
	return nil
}

// ARP, RFC 826, on Ethernet.
const (
	arpRequest = 1
	arpReply   = 2
)

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func arpFrame(operation uint16, source net.HardwareAddr, sender, target net.IP) []byte {
	frame := append(append([]byte{}, broadcast...), source...)
	frame = binary.BigEndian.AppendUint16(frame, unix.ETH_P_ARP)
	frame = append(frame, 0, 1, 8, 0, 6, 4) // Ethernet, IPv4, and the lengths of their addresses
	frame = binary.BigEndian.AppendUint16(frame, operation)
	frame = append(append(frame, source...), sender.To4()...)
	return append(append(frame, make([]byte, 6)...), target.To4()...)
}

// announce makes hosts that know the address at another node forget that node (a gratuitous ARP, RFC 5227 section 3).
func announce(link netlink.Link, ip net.IP) error {
	socket, to, err := arpSocket(link)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	for _, operation := range []uint16{arpRequest, arpReply} {
		if err := unix.Sendto(socket, arpFrame(operation, link.Attrs().HardwareAddr, ip, ip), 0, to); err != nil {
			return err
		}
	}
	return nil
}

// answersARP asks the network, as a host does before it takes an address (RFC 5227 section 2.1), for a third of a second.
func answersARP(link netlink.Link, ip net.IP) (bool, error) {
	socket, to, err := arpSocket(link)
	if err != nil {
		return false, err
	}
	defer unix.Close(socket)
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}); err != nil {
		return false, err
	}
	probe := arpFrame(arpRequest, link.Attrs().HardwareAddr, net.IPv4zero, ip)
	if err := unix.Sendto(socket, probe, 0, to); err != nil {
		return false, err
	}
	frame := make([]byte, 64)
	for deadline := time.Now().Add(300 * time.Millisecond); time.Now().Before(deadline); {
		n, _, err := unix.Recvfrom(socket, frame, 0)
		if err != nil {
			continue // nothing within the timeout
		}
		if n >= 42 && binary.BigEndian.Uint16(frame[20:]) == arpReply && net.IP(frame[28:32]).Equal(ip) {
			return true, nil
		}
	}
	return false, nil
}

func arpSocket(link netlink.Link) (int, unix.Sockaddr, error) {
	protocol := uint16(unix.ETH_P_ARP>>8 | unix.ETH_P_ARP&0xff<<8) // in network order
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return 0, nil, err
	}
	address := &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Attrs().Index}
	if err := unix.Bind(socket, address); err != nil {
		unix.Close(socket)
		return 0, nil, err
	}
	return socket, address, nil
}
