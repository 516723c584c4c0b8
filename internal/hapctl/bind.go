package hapctl

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The reasons of TestBind that somebody can do something about; others are the kernel's own words.
var (
	ErrTaken     = errors.New("another program listens there")
	ErrNoAddress = errors.New("the machine does not have the address")
	ErrNoRight   = errors.New("the agent may not listen at that port")
)

// TestBind says whether HAProxy could listen at a TCP address, before a reload tries: one that can't closes
// all its listeners for two seconds. What is in ours is HAProxy's own already and no obstacle; wildcard
// addresses in it stand for all addresses of their port. A listener of another program is an obstacle even
// where the kernel would let both share the port, since they would get each other's connections.
// Nothing listens at the address at any time.
func TestBind(addr netip.AddrPort, ours []netip.AddrPort) error {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	overlap := false
	for _, o := range ours {
		o = netip.AddrPortFrom(o.Addr().Unmap(), o.Port())
		if o == addr {
			return nil
		}
		overlap = overlap || o.Port() == addr.Port() && (o.Addr().IsUnspecified() || addr.Addr().IsUnspecified())
	}
	if err := bind(addr, overlap); err != nil {
		return fmt.Errorf("listen at %s: %w", addr, reasonOf(err))
	}
	return nil
}

// TestBindUDP says the same of a UDP address. HAProxy lets its processes share them, so what it holds is no obstacle, nor is
// a program that shares its port with whoever wants to.
func TestBindUDP(addr netip.AddrPort) error {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if err := bindAs(unix.SOCK_DGRAM, addr, true); err != nil {
		return fmt.Errorf("listen at %s, UDP: %w", addr, reasonOf(err))
	}
	return nil
}

func reasonOf(err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return ErrTaken
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return ErrNoAddress
	case errors.Is(err, unix.EACCES):
		return ErrNoRight
	}
	return err
}

// bind binds a socket and lets it go. The kernel compares with listeners when binding, so that listening,
// which could take a connection from HAProxy, is not needed.
func bind(addr netip.AddrPort, share bool) error { return bindAs(unix.SOCK_STREAM, addr, share) }

func bindAs(kind int, addr netip.AddrPort, share bool) error {
	family := unix.AF_INET6
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if addr.Addr().Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	options := []struct{ level, name int }{{unix.SOL_SOCKET, unix.SO_REUSEADDR}}
	if share {
		options = append(options, struct{ level, name int }{unix.SOL_SOCKET, unix.SO_REUSEPORT})
	}
	if family == unix.AF_INET6 {
		options = append(options, struct{ level, name int }{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			return err
		}
	}
	return unix.Bind(fd, sa)
}
