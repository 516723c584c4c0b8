package httpget

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

func get(t *testing.T, c *Client, address string) (*Answer, error) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return c.Get(t.Context(), u, http.Header{}, weirtest.Patience)
}

// serve answers every connection with the same bytes, and closes it.
func serve(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(weirtest.Addr(t), "80"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				buf := make([]byte, 4096)
				for seen := ""; !strings.Contains(seen, "\r\n\r\n"); {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					seen += string(buf[:n])
				}
				_, _ = io.WriteString(conn, answer)
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/path?key=canary"
}

func TestAnswersThatAreNotTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ answer, want string }{
		"redirect":         {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", "redirects are not followed"},
		"half":             {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1,", "ends early"},
		"half of chunks":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n", "ends early"},
		"of no length":     {"HTTP/1.0 200 OK\r\n\r\n[]", "does not say how long it is"},
		"no HTTP":          {"220 mail.example.com ESMTP\r\n", "malformed HTTP"},
		"nothing":          {"", "EOF"},
		"headers too long": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n", "server response headers exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := New(nil, nil)
			defer client.Close()
			_, err := get(t, client, serve(t, c.answer))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Fatalf("the error shows the query: %v", err)
			}
		})
	}
}

// A refusal need not say how long it is: what it says is told.
func TestRefusalsOfNoLength(t *testing.T) {
	t.Parallel()
	client := New(nil, nil)
	defer client.Close()
	got, err := get(t, client, serve(t, "HTTP/1.0 500 Oops\r\n\r\nthe database is away"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != http.StatusInternalServerError || string(got.Body) != "the database is away" {
		t.Errorf("got HTTP %d with %q", got.Status, got.Body)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		block := bytes.Repeat([]byte(" "), 1<<20)
		for range discovery.MaxAnswer>>20 + 1 {
			if _, err := z.Write(block); err != nil {
				return
			}
		}
		_ = z.Close()
	}))
	defer server.Close()
	client := New(nil, nil)
	defer client.Close()
	if _, err := get(t, client, server.URL); !errors.Is(err, discovery.ErrTooMuch) {
		t.Fatalf("got %v, want too much", err)
	}
}

func TestPlacesThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	open := httptest.NewServer(http.NotFoundHandler())
	defer open.Close()
	client := New(nil, nil)
	defer client.Close()
	if _, err := get(t, client, secure.URL); err == nil || !strings.Contains(err.Error(), "name the authority") {
		t.Errorf("a certificate of nobody's: %v", err)
	}
	if _, err := get(t, client, strings.Replace(open.URL, "http", "https", 1)); err == nil || !strings.Contains(err.Error(), "use http://") {
		t.Errorf("TLS with one that has none: %v", err)
	}
	if a, err := get(t, client, open.URL); err != nil || a.Status != 404 {
		t.Errorf("any status is an answer: %v, %v", a, err)
	}
	refusing := New(func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not on the list") }, nil)
	if _, err := get(t, refusing, open.URL); err == nil || !strings.Contains(err.Error(), "not on the list") {
		t.Errorf("a dialler that refuses: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Get(ctx, &url.URL{Scheme: "http", Host: "127.0.0.1"}, nil, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestNoWholeAnswerInTime(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	client := New(nil, nil)
	defer client.Close()
	u, _ := url.Parse(server.URL)
	if _, err := client.Get(t.Context(), u, nil, time.Millisecond); err == nil || !strings.Contains(err.Error(), "no whole answer within") {
		t.Fatalf("got %v", err)
	}
}

func TestGetOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 2 { // on a connection that has served, which HTTP clients ask anew after
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	u, _ := url.Parse(server.URL)
	client := New(nil, nil)
	defer client.Close()
	for i, want := range []error{nil, errLost, nil} {
		if _, err := client.GetOnce(t.Context(), u, nil, weirtest.Patience); !errors.Is(err, want) {
			t.Errorf("question %d: %v, want %v", i+1, err, want)
		}
	}
	asked.Store(0)
	for range 2 {
		if _, err := client.Get(t.Context(), u, nil, weirtest.Patience); err != nil {
			t.Errorf("without: %v", err)
		}
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	got := OneLine("a\r\n b\x1b[31m canary \x85\xff", 300, "canary", "")
	if got != "a b?[31m [redacted] ?" {
		t.Errorf("got %q", got)
	}
	if got := OneLine(strings.Repeat("ä", 1000), 300); len(got) > 310 || !strings.HasSuffix(got, "ä …") {
		t.Errorf("got %q", got)
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	err := Failure("ask a", fmt.Errorf("canary\n%w", discovery.ErrTooMuch), "canary")
	if err.Error() != "ask a: [redacted] more than is taken" || !errors.Is(err, discovery.ErrTooMuch) {
		t.Errorf("got %v", err)
	}
	if err := Failure("ask a", io.EOF); errors.Is(err, io.EOF) || errors.Is(err, discovery.ErrTooMuch) {
		t.Errorf("%v is what it is not", err)
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "consul:8500", "ftp://a", "http://", "http://a:canary@b/", "http://a/#b", "http://[::1", "http:a"} {
		if _, err := CheckURL(bad); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"http://a", "https://[::1]:8500/x?y=z"} {
		if _, err := CheckURL(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}
