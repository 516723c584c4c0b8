package weirtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func get(t *testing.T, addr, path string) (status int, name, body string, err error) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	res, err := c.Get("http://" + addr + path)
	if err != nil {
		return 0, "", "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header.Get("X-Origin"), string(b), err
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	o := NewOrigin(t, net.JoinHostPort(Addr(t), "8080"))
	o.Name = "web1"
	status, name, body, err := get(t, o.Addr, "/a?q=1")
	if err != nil || status != 200 || name != "web1" || body != "web1 /a\n" {
		t.Fatalf("got %d %q %q %v", status, name, body, err)
	}
	if o.Hits("/a") != 1 || o.Hits("/b") != 0 || len(o.Counts()) != 1 {
		t.Errorf("counts = %v", o.Counts())
	}
	seen := o.Requests("/a")
	if len(seen) != 1 || seen[0].URI != "/a?q=1" || seen[0].Host != o.Addr || seen[0].Method != "GET" {
		t.Errorf("requests = %+v", seen)
	}
}

func TestOriginCanBeUnhealthy(t *testing.T) {
	t.Parallel()
	o := NewOrigin(t, net.JoinHostPort(Addr(t), "8080"))
	want := func(path string, status int) {
		t.Helper()
		if got, _, _, err := get(t, o.Addr, path); got != status || err != nil {
			t.Errorf("%s answered %d %v, want %d", path, got, err, status)
		}
	}
	o.SetStatus("/ping", 500)
	want("/ping", 500)
	want("/", 200)
	o.SetHealthy(false)
	want("/ping", 503)
	want("/", 503)
	o.SetHealthy(true)
	want("/ping", 200)
}

func TestOriginStopsAndRestarts(t *testing.T) {
	t.Parallel()
	o := NewOrigin(t, net.JoinHostPort(Addr(t), "0"))
	for i := range 20 {
		o.Stop()
		if _, _, _, err := get(t, o.Addr, "/"); err == nil {
			t.Fatal("a stopped origin answered")
		}
		o.Restart(t)
		if _, _, _, err := get(t, o.Addr, "/"); err != nil {
			t.Fatal(err)
		}
		if o.Hits("/") != i+1 {
			t.Fatalf("hits = %d after %d restarts", o.Hits("/"), i+1)
		}
	}
}

// A request that waits in a slow origin must not hold up Stop, nor be answered after it.
func TestSlowOrigin(t *testing.T) {
	t.Parallel()
	o := NewOrigin(t, net.JoinHostPort(Addr(t), "8080"))
	o.SetDelay(time.Hour)
	res := make(chan error, 1)
	go func() {
		_, _, _, err := get(t, o.Addr, "/slow")
		res <- err
	}()
	Eventually(t, Patience, func() error {
		if n := o.Hits("/slow"); n != 1 {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
	o.Stop()
	if err := <-res; err == nil {
		t.Error("a request in a stopped origin was answered")
	}
}

func TestTCPOrigin(t *testing.T) {
	t.Parallel()
	o := NewTCPOrigin(t, net.JoinHostPort(Addr(t), "3890"), "hello\n")
	for i := range 3 {
		c, err := net.Dial("tcp", o.Addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "echo me\n")
		r := bufio.NewReader(c)
		for _, want := range []string{"hello\n", "echo me\n"} {
			if got, err := r.ReadString('\n'); got != want {
				t.Fatalf("read %q %v, want %q", got, err, want)
			}
		}
		if o.Connections() != i+1 {
			t.Errorf("connections = %d, want %d", o.Connections(), i+1)
		}
		o.Stop()
		if _, err := r.ReadString('\n'); err == nil {
			t.Error("a stopped origin kept the connection")
		}
		if _, err := net.Dial("tcp", o.Addr); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("dial to a stopped origin: %v", err)
		}
		o.Restart(t)
	}
}
