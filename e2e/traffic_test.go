package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"weir/internal/weirtest"
)

// traffic is clients that ask one site again and again and forgive nothing: a request that gets no 200, for
// whatever reason, is a failure. Nothing is retried, as Go's own client would.
type traffic struct {
	w          *world
	addr, host string

	mu       sync.Mutex
	good     int
	failures []string
	origins  map[string]int

	stop chan struct{}
	done sync.WaitGroup
}

// send begins traffic of two clients that keep their connections and two that do not.
func (w *world) send(addr, host string) *traffic {
	tr := &traffic{w: w, addr: addr, host: host, origins: map[string]int{}, stop: make(chan struct{})}
	for i := range 4 {
		tr.done.Go(func() { tr.run(i%2 == 0) })
	}
	w.t.Cleanup(tr.end)
	return tr
}

// pace is between two requests of a client.
const pace = 2 * time.Millisecond

func (tr *traffic) run(keep bool) {
	var conn net.Conn
	var reader *bufio.Reader
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	timer := time.NewTicker(pace)
	defer timer.Stop()
	for {
		select {
		case <-tr.stop:
			return
		case <-timer.C:
		}
		if conn == nil {
			var err error
			if conn, err = net.DialTimeout("tcp", tr.addr, time.Second); err != nil {
				tr.note("", err)
				continue
			}
			reader = bufio.NewReader(conn)
		}
		again, origin, err := tr.ask(conn, reader, keep)
		tr.note(origin, err)
		if !again || err != nil {
			conn.Close()
			conn = nil
		}
	}
}

func (tr *traffic) ask(conn net.Conn, reader *bufio.Reader, keep bool) (again bool, origin string, err error) {
	connection := "close"
	if keep {
		connection = "keep-alive"
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return false, "", err
	}
	if _, err := fmt.Fprintf(conn, "GET /traffic HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n\r\n", tr.host, connection); err != nil {
		return false, "", err
	}
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		return false, "", err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return false, "", err
	}
	if answer.StatusCode != 200 {
		return false, "", fmt.Errorf("status %d", answer.StatusCode)
	}
	return keep && !answer.Close, answer.Header.Get("X-Origin"), nil
}

func (tr *traffic) note(origin string, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if err != nil {
		tr.failures = append(tr.failures, time.Now().Format("15:04:05.000 ")+err.Error())
		return
	}
	tr.good++
	tr.origins[origin]++
}

// more waits until n further requests have been answered well.
func (tr *traffic) more(n int) {
	tr.w.t.Helper()
	count := func() int {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.good
	}
	begin := count()
	weirtest.Eventually(tr.w.t, waitLong, func() error {
		if got := count() - begin; got < n {
			return fmt.Errorf("%d of %d requests at %s were answered well", got, n, tr.addr)
		}
		return nil
	})
}

func (tr *traffic) end() {
	select {
	case <-tr.stop:
	default:
		close(tr.stop)
	}
	tr.done.Wait()
}

// flawless ends the traffic and fails the test when any request failed.
func (tr *traffic) flawless() {
	tr.w.t.Helper()
	tr.end()
	if len(tr.failures) > 0 || tr.good == 0 {
		tr.w.t.Errorf("%s at %s: %d requests failed of %d, first: %s", tr.host, tr.addr, len(tr.failures), tr.good+len(tr.failures), tr.failures[:min(3, len(tr.failures))])
	}
}
