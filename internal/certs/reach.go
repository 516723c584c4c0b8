package certs

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// reach says where requests to an authority may go: to the host that the Issuer names, wherever that is, and to public
// addresses that the authority names. Proxies of the server's environment are the admin's word, and decide for
// themselves.
type reach struct {
	host string
	dial net.Dialer

	mu      sync.Mutex
	proxies map[string]bool // host:port
}

func newReach(directory string) *reach {
	r := &reach{dial: net.Dialer{Timeout: exchangePatience, KeepAlive: 30 * time.Second}, proxies: map[string]bool{}}
	if u, err := url.Parse(directory); err == nil {
		r.host = u.Hostname()
	}
	return r
}

// proxy is http.ProxyFromEnvironment, noted.
func (r *reach) proxy(req *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(req)
	if u != nil {
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
		}
		r.mu.Lock()
		r.proxies[net.JoinHostPort(u.Hostname(), port)] = true
		r.mu.Unlock()
	}
	return u, err
}

// connect dials, and looks at the address that a name stands for when it is dialled, since a name can stand for another
// one each time it is asked for.
func (r *reach) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	proxy := r.proxies[addr]
	r.mu.Unlock()
	d := r.dial
	if !proxy && !strings.EqualFold(host, r.host) {
		d.Control = func(_, address string, _ syscall.RawConn) error { return public(host, address) }
	}
	return d.DialContext(ctx, network, addr)
}

// public refuses addresses that are nobody's on the Internet.
func public(host, address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address", address)
	}
	ip := at.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || shared.Contains(ip) {
		return fmt.Errorf("the authority names the host %s, which is at %s: not the host of its directory, and no public address", host, ip)
	}
	return nil
}

// shared is between providers and their customers (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")
