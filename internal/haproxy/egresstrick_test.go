package haproxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// field is one of a request over HTTP/2, as it is written.
type field [2]string

// framed sends one request over HTTP/2 by frames of its own, with a body in so many frames unless there is none, and gives
// the status of the answer; 0 when the stream or the connection ended without one.
func (g *gate) framed(fields []field, body []string, trailers ...field) int {
	g.t.Helper()
	conn := g.dial(50, 8080)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	_ = framer.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	headers := func(fields []field, last bool) {
		block.Reset()
		for _, f := range fields {
			_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: last, EndHeaders: true})
	}
	headers(fields, len(body) == 0)
	for i, part := range body {
		_ = framer.WriteData(1, i == len(body)-1 && trailers == nil, []byte(part))
	}
	if trailers != nil {
		headers(trailers, true)
	}
	decoder := hpack.NewDecoder(4096, nil)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			if !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
				g.t.Errorf("%v: %v", fields, err)
			}
			return 0
		}
		switch f := frame.(type) {
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return 0
		case *http2.HeadersFrame:
			answer, err := decoder.DecodeFull(f.HeaderBlockFragment())
			if err != nil {
				g.t.Fatal(err)
			}
			status := 0
			for _, a := range answer {
				if a.Name == ":status" {
					_, _ = fmt.Sscan(a.Value, &status)
				}
			}
			return status
		}
	}
}

// What HTTP/2 can say and HTTP/1.1 can't, or says otherwise, reaches no partner as another request.
func TestCallsThatTrickByHTTP2(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startGate(t, h, func(n *ir.Node) {
			calling(hostsOf(n), weir.EgressRule{Clients: []string{"myback-prod"}, Services: []string{"www"}, SLAs: []string{"high"}, Methods: []string{"GET", "POST"}})(n)
		})
		const path = "/myback/prod/example/prod/www/high/x"
		const smuggled = "GET /hidden HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
		const none = "-"
		// but gives the usual request with others in the place of its pseudo-headers, none for none, and more after them.
		but := func(more ...field) []field {
			list := []field{{":method", "POST"}, {":scheme", "http"}, {":authority", "egress.inside"}, {":path", path}}
			for _, f := range more {
				if i := slices.IndexFunc(list[:4], func(p field) bool { return p[0] == f[0] }); i >= 0 {
					list[i] = f
				} else {
					list = append(list, f)
				}
			}
			return slices.DeleteFunc(list, func(f field) bool { return f[1] == none })
		}
		tail := []string{"0\r\n\r\n" + smuggled}
		passed := 0
		for _, test := range []struct {
			name     string
			passes   bool
			fields   []field
			body     []string
			trailers []field
		}{
			{"as it should be", true, but(), []string{"hello"}, nil},
			{"length and body agree", true, but(field{"content-length", "5"}), []string{"he", "llo"}, nil},
			{"length below the body", false, but(field{"content-length", "0"}), []string{smuggled}, nil}, // H2.CL
			{"length within the body", false, but(field{"content-length", "5"}), []string{"hello" + smuggled}, nil},
			{"length above the body", false, but(field{"content-length", "500"}), []string{"hello"}, nil},
			{"length and no body", false, but(field{"content-length", "50"}), nil, nil},
			{"two lengths", false, but(field{"content-length", "5"}, field{"content-length", "6"}), []string{"hello"}, nil},
			{"an odd length", false, but(field{"content-length", "+5"}), []string{"hello"}, nil},
			{"a coding", false, but(field{"transfer-encoding", "chunked"}), tail, nil}, // H2.TE
			{"an obscured coding", false, but(field{"transfer-encoding", "\tchunked"}), tail, nil},
			{"a line end in a value", false, but(field{"x-own", "a\r\nTransfer-Encoding: chunked"}), tail, nil},
			{"a line feed in a value", false, but(field{"x-own", "a\nTransfer-Encoding: chunked"}), tail, nil},
			{"a request in a value", false, but(field{"x-own", "a\r\n\r\n" + smuggled}), []string{"x"}, nil},
			{"a zero byte in a value", false, but(field{"x-own", "a\x00b"}), []string{"x"}, nil},
			{"a line end in a name", false, but(field{"x-own: a\r\ntransfer-encoding", "chunked"}), tail, nil},
			{"a colon and a line end in a name", false, but(field{"transfer-encoding: chunked\r\nx", "a"}), tail, nil},
			{"a colon in a name", false, but(field{"x:y", "a"}), []string{"x"}, nil},
			{"a space in a name", false, but(field{"transfer-encoding ", "chunked"}), tail, nil},
			{"a capital in a name", false, but(field{"X-Own", "a"}), []string{"x"}, nil},
			{"an empty name", false, but(field{"", "a"}), []string{"x"}, nil},
			{"an unknown pseudo-header", false, but(field{":own", "a"}), []string{"x"}, nil},
			{"a pseudo-header after others", false, append(but(field{"x-own", "a"}), field{":path", "/hidden"}), []string{"x"}, nil},
			{"two paths", false, append(but(), field{":path", "/hidden"}), []string{"x"}, nil},
			{"two methods", false, append(but(), field{":method", "GET"}), []string{"x"}, nil},
			{"connection", false, but(field{"connection", "close, x-own"}), []string{"x"}, nil},
			{"an upgrade", false, but(field{"connection", "upgrade"}, field{"upgrade", "h2c"}), []string{"x"}, nil},
			{"a coding of trailers", false, but(field{"te", "gzip"}), []string{"x"}, nil},
			{"a line end in the path", false, but(field{":path", path + " HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled}), []string{"x"}, nil},
			{"a space in the path", false, but(field{":path", path + " HTTP/1.1"}), []string{"x"}, nil},
			{"no slash before the path", false, but(field{":path", path[1:]}), []string{"x"}, nil},
			{"a whole URL as path", false, but(field{":path", "http://egress.inside" + path}), []string{"x"}, nil},
			{"no path", false, but(field{":path", none}), []string{"x"}, nil},
			{"a fragment", false, but(field{":path", path + "#/../y"}), []string{"x"}, nil},
			{"a byte above 127 in the path", false, but(field{":path", path + "\xff"}), []string{"x"}, nil},
			{"a byte above 127 in the query", false, but(field{":path", path + "?\xff"}), []string{"x"}, nil},
			{"a line end in the method", false, but(field{":method", "GET /hidden HTTP/1.1\r\nHost: www.example.com\r\n\r\nPOST"}), []string{"x"}, nil},
			{"a space in the method", false, but(field{":method", "GET /hidden"}), []string{"x"}, nil},
			{"a line end in the scheme", false, but(field{":scheme", "http\r\nx: y"}), []string{"x"}, nil},
			{"a URL in the scheme", false, but(field{":scheme", "http://www.example.com/hidden?"}), []string{"x"}, nil},
			{"a line end in the authority", false, but(field{":authority", "egress.inside\r\nx: y"}), []string{"x"}, nil},
			{"a path in the authority", false, but(field{":authority", "egress.inside/hidden"}), []string{"x"}, nil},
			{"a user in the authority", false, but(field{":authority", "egress.inside@two.example"}), []string{"x"}, nil},
			{"another authority", false, but(field{":authority", "two.example"}), []string{"x"}, nil},
			{"a host that differs", true, but(field{"host", "two.example"}), []string{"x"}, nil}, // the authority counts
			{"a host, and no authority", true, but(field{":authority", none}, field{"host", "egress.inside"}), []string{"x"}, nil},
			{"two hosts, and no authority", true, but(field{":authority", none}, field{"host", "egress.inside"}, field{"host", "two.example"}), []string{"x"}, nil}, // the first counts
			{"a tunnel", false, []field{{":method", "CONNECT"}, {":authority", "www.example.com:443"}}, nil, nil},
			{"a tunnel of HTTP/2", false, append(but(field{":method", "CONNECT"}), field{":protocol", "h2c"}), nil, nil},
			{"trailers", true, but(), []string{"hello"}, []field{{"x-sum", "1"}}},
			{"a coding as trailer", false, but(), tail, []field{{"transfer-encoding", "chunked"}}},
			{"a line end in a trailer", false, but(), tail, []field{{"x-sum", "1\r\n\r\n" + smuggled}}},
			{"a path as trailer", false, but(), tail, []field{{":path", "/hidden"}}},
		} {
			got := g.framed(test.fields, test.body, test.trailers...)
			if test.passes {
				passed++
			}
			if test.passes != (got == 200) || got > 421 {
				t.Errorf("%s: %d", test.name, got)
			}
		}
		seen := g.origins[33].Requests("")
		if len(seen) < passed { // of those refused for their body or trailers the partner may have seen the beginning
			t.Errorf("%d requests came to the partner, want %d: %+v", len(seen), passed, seen)
		}
		for _, s := range seen {
			if s.Method != "POST" || s.URI != "/x" || s.Host != "www.example.com" {
				t.Errorf("the partner saw %+v", s)
			}
		}
	})
}
