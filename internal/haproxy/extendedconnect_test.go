//lint:file-ignore SA1019 what is to be used instead, net/http, refuses the pseudo-header that a WebSocket over HTTP/2 needs
package haproxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"weir/internal/weirtest"
)

// webSocket2 talks by a WebSocket over HTTP/2 (RFC 8441).
func (p proxy) webSocket2(t *testing.T, host string) {
	t.Helper()
	tr := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, _, _ string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", p.addr(17, 8080))
	}}
	defer tr.CloseIdleConnections()
	body, out := io.Pipe()
	bounded, cancel := context.WithTimeout(t.Context(), weirtest.Patience)
	defer cancel()
	req, err := http.NewRequest("CONNECT", "http://"+host+"/chat", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{":protocol": {"websocket"}, "Sec-WebSocket-Version": {"13"}, "Origin": {"http://" + host}}
	res, err := tr.RoundTrip(req.WithContext(bounded))
	if err != nil {
		t.Errorf("%s: %v", host, err)
		return
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("%s: status %d over HTTP/2", host, res.StatusCode)
	}
	word := strings.Repeat("\x81\x85mask!!!!!", 3)
	go says(out, word)
	if !hears(bufio.NewReader(res.Body), word) {
		t.Errorf("%s: no answer over HTTP/2", host)
	}
	out.Close()
}
