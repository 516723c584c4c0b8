package haproxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// faithless is a server that reads every request and hangs up, but answers when the same comes again, with how
// often it came and the length of its cookie.
type faithless struct {
	mu    sync.Mutex
	heads map[string][][]byte // by path
}

func startFaithless(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f := &faithless{heads: map[string][][]byte{}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(conn)
		}
	}()
}

func (f *faithless) serve(conn net.Conn) {
	defer conn.Close()
	var head bytes.Buffer
	reader := bufio.NewReader(conn)
	for !bytes.HasSuffix(head.Bytes(), []byte("\r\n\r\n")) {
		b, err := reader.ReadByte()
		if err != nil {
			return
		}
		head.WriteByte(b)
	}
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head.Bytes())))
	if err != nil {
		return
	}
	f.mu.Lock()
	f.heads[request.URL.Path] = append(f.heads[request.URL.Path], head.Bytes())
	seen := f.heads[request.URL.Path]
	f.mu.Unlock()
	if len(seen) > 1 && bytes.Equal(seen[0], seen[len(seen)-1]) {
		text := fmt.Sprintf("came %d times with %d", len(seen), len(request.Header.Get("Cookie")))
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nX-Origin: faithless\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text)
	}
}

// A request that does no harm twice is sent again, whole, when a server hangs up on it: also one that is too
// long for a small buffer. Any other is not.
func TestRequestsAreSentAgain(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, func(n *ir.Node) {
			for i := range n.Pools {
				if n.Pools[i].Name == "api" {
					n.Pools[i].Check = weir.HealthCheck{Type: "none"}
					n.Pools[i].Servers[0].Address = netip.AddrPortFrom(n.Pools[i].Servers[0].Address.Addr().Next(), 9001) // .34
				}
			}
		})
		startFaithless(t, p.addr(34, 9001))
		for _, method := range []string{"GET", "HEAD", "POST"} {
			for _, cookie := range []int{1, 1000, 3500, 3900, 4000, 4100, 6000, 12000} {
				path := fmt.Sprintf("/api/%s/%d", method, cookie)
				status, _, all := p.get(t, 17, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: www.example\r\nCookie: %s\r\nConnection: close\r\n\r\n", method, path, strings.Repeat("x", cookie)))
				want, text := 200, fmt.Sprintf("came 2 times with %d", cookie)
				if method == "HEAD" {
					text = ""
				}
				if method == "POST" {
					want, text = 502, "<h1>502</h1>"
				}
				if status != want || !strings.Contains(all, text) {
					t.Errorf("%s: %d\n%s", path, status, all)
				}
			}
		}
	})
}
