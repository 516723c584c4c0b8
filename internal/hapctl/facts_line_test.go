package hapctl

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"weir/internal/weirtest"
)

// A line of a crt-list can be replaced by one with other options while clients shake hands on other threads, and each
// of them is shown a certificate, as long as the protocols are the bind line's: HAProxy would crash after ten to two
// hundred such changes if they stood on the lines.
func TestFactLinesGoWhileClientsConnect(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "frontend f from base\n bind ADDR:8443 ssl crt-list list strict-sni alpn h2,http/1.1\n http-request return status 200\n")
		l.file("list", "")
		l.start()
		if err := l.c.SetCert(bounded(t), "a.pem", newPair(t, false, "a.example").pem(t)); err != nil {
			t.Fatal(err)
		}
		options := [2]string{"ssl-min-ver TLSv1.2", "ssl-min-ver TLSv1.3"}
		l.pay("add ssl crt-list list", "a.pem ["+options[1]+"] a.example\n")
		var clients sync.WaitGroup
		var shaken atomic.Int64
		stop := make(chan struct{})
		end := sync.OnceFunc(func() { close(stop); clients.Wait() })
		defer end()
		for range 3 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := l.handshake("a.example", func(c *tls.Config) { c.NextProtos = []string{"h2"} }); err != nil {
						t.Error(err)
						return
					}
					shaken.Add(1)
				}
			})
		}
		const changes = 300
		for i := range changes {
			l.pay("add ssl crt-list list", "a.pem ["+options[i%2]+"] a.example\n")
			lines, err := l.c.CrtList(bounded(t), "list")
			if err != nil || len(lines) != 2 || !strings.Contains(lines[0].Options, options[(i+1)%2]) {
				t.Fatalf("change %d: %+v, %v", i, lines, err)
			}
			l.do(fmt.Sprintf("del ssl crt-list list a.pem:%d", lines[0].Line))
		}
		end()
		if shaken.Load() < 20 {
			t.Errorf("only %d handshakes meanwhile", shaken.Load())
		}
	})
}
