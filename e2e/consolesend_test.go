package e2e

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/internal/weirtest"
)

// sending is what a script wants to be sent. Over TLS, by its version as 1.3, each request has a connection of its own,
// and Resume lets those of a client resume what the one before began.
type sending struct {
	Requests           int
	Balancer, Home     string
	Method, Host, Path string
	Headers            map[string]string
	TLS                string
	Resume             bool
	From               int // the host number of the client's address, 0 for any
}

// sent is what came of many requests.
type sent struct {
	Total    int            `json:"total"`
	Origins  map[string]int `json:"origins"`
	Statuses map[string]int `json:"statuses"`
	Failed   []string       `json:"failed"`
	From     string         `json:"from"` // the client's address, where one was asked for
}

// senders is how many clients send at once.
const senders = 4

// send sends requests over four connections that are kept, none of them twice. Paths go as they are.
func (w *consoleWorld) send(addr string, ask sending) sent {
	got := sent{Total: ask.Requests, Origins: map[string]int{}, Statuses: map[string]int{}, Failed: []string{}}
	if ask.From != 0 {
		got.From = w.world.at(ask.From).String()
	}
	var mu sync.Mutex
	var done sync.WaitGroup
	for i := range senders {
		done.Go(func() {
			client := w.sender(ask)
			defer client.CloseIdleConnections()
			for range (ask.Requests + senders - 1 - i) / senders {
				status, origin, err := w.sendOne(client, addr, ask)
				mu.Lock()
				if err != nil {
					got.Failed = append(got.Failed, err.Error())
				} else {
					got.Statuses[fmt.Sprint(status)]++
					if origin != "" {
						got.Origins[origin]++
					}
				}
				mu.Unlock()
			}
		})
	}
	done.Wait()
	return got
}

func (w *consoleWorld) sender(ask sending) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	if ask.From != 0 {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: w.world.at(ask.From).AsSlice()}}
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return from.DialContext(ctx, network, addr)
		}
	}
	if ask.TLS != "" {
		version := map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[ask.TLS]
		transport.TLSClientConfig = &tls.Config{ServerName: ask.Host, RootCAs: w.ca.pool(), MinVersion: version, MaxVersion: version}
		if transport.DisableKeepAlives = true; ask.Resume {
			transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
	}
	return &http.Client{
		Transport: transport, Timeout: waitLong,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (w *consoleWorld) sendOne(client *http.Client, addr string, ask sending) (status int, origin string, err error) {
	method, scheme := ask.Method, "http"
	if method == "" {
		method = http.MethodGet
	}
	if ask.TLS != "" {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, scheme+"://"+addr, nil)
	if err != nil {
		return 0, "", err
	}
	request.URL = &url.URL{Scheme: scheme, Host: addr, Opaque: ask.Path}
	request.Host = ask.Host
	for name, value := range ask.Headers {
		request.Header.Set(name, value)
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, answer.Header.Get("X-Origin"), err
}

// originOf finds a server by its name, as az1-0.
func (w *consoleWorld) originOf(name string) (*weirtest.Origin, error) {
	zone, n, _ := strings.Cut(name, "-")
	list := w.servers[zone]
	i := slices.Index([]string{"0", "1"}, n)
	if i < 0 || i >= len(list) {
		return nil, fmt.Errorf("there is no origin %q; az1-0 to az3-1 are there", name)
	}
	return list[i], nil
}

// met is who answered over one connection, and what was shown before: the certificate's names and issuer, nothing of plain
// tcp.
type met struct {
	Origin string   `json:"origin"`
	Status int      `json:"status"`
	Names  []string `json:"names"`
	Issuer string   `json:"issuer"`
	Failed string   `json:"failed,omitempty"`
}

// connected asks in HTTP over a connection of its own, inside TLS when a name is given.
func connected(addr, name string) (met, error) {
	conn, err := net.DialTimeout("tcp", addr, waitLong)
	if err != nil {
		return met{}, err
	}
	defer conn.Close()
	got := met{Names: []string{}}
	if err := conn.SetDeadline(time.Now().Add(waitLong)); err != nil {
		return got, err
	}
	if name != "" {
		secure := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true}) // what is shown is told, whoever issued it
		if err := secure.Handshake(); err != nil {
			return got, err
		}
		leaf := secure.ConnectionState().PeerCertificates[0]
		got.Names, got.Issuer, conn = leaf.DNSNames, leaf.Issuer.CommonName, secure
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", cmp.Or(name, "nobody")); err != nil {
		return got, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return got, err
	}
	defer answer.Body.Close()
	got.Origin, got.Status = answer.Header.Get("X-Origin"), answer.StatusCode
	return got, nil
}
