package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"weir/internal/weirtest"
)

// traffic is clients that ask one site again and again and forgive nothing: a request that gets no 200, for
// whatever reason, is a failure. Nothing is retried, as Go's own client would.
type traffic struct {
	w          *world
	addr, host string
	pace       time.Duration
	secure     *tls.Config // of the clients' handshakes; nil for none

	mu       sync.Mutex
	good     int
	failures []failure
	origins  map[string]int

	stop chan struct{}
	done sync.WaitGroup
}

// failure is one request that was not answered well.
type failure struct {
	begun, ended time.Time
	err          error
}

// String gives both times and what was wrong.
func (f failure) String() string {
	return fmt.Sprintf("%s–%s %v", f.begun.Format("15:04:05.000"), f.ended.Format("05.000"), f.err)
}

// pace is the pause between two requests of a client. Traffic that keeps a processor busy makes what it watches last
// longer, and shows no more of it: with four clients this is 200 requests a second. With WEIR_SOAK it is denser.
func pace() time.Duration {
	if os.Getenv("WEIR_SOAK") != "" {
		return 2 * time.Millisecond
	}
	return 20 * time.Millisecond
}

// send begins traffic of two clients that keep their connections and two that do not.
func (w *world) send(addr, host string) *traffic {
	return w.sendEvery(pace(), addr, host)
}

// sendEvery is send with a pause between two requests of a client: what lasts long need not cost much.
func (w *world) sendEvery(pace time.Duration, addr, host string) *traffic {
	tr := &traffic{w: w, addr: addr, host: host, pace: pace, origins: map[string]int{}, stop: make(chan struct{})}
	for i := range 4 {
		tr.done.Go(func() { tr.run(i%2 == 0) })
	}
	w.t.Cleanup(tr.end)
	return tr
}

// shakeHands begins traffic of clients that make a whole new handshake for each request.
func (w *world) shakeHands(addr, host string, config *tls.Config) *traffic {
	tr := &traffic{w: w, addr: addr, host: host, pace: pace(), secure: config, origins: map[string]int{}, stop: make(chan struct{})}
	for range 2 {
		tr.done.Go(func() { tr.run(false) })
	}
	w.t.Cleanup(tr.end)
	return tr
}

func (tr *traffic) dial() (net.Conn, error) {
	dialer := &net.Dialer{Timeout: waitLong}
	if tr.secure == nil {
		return dialer.Dial("tcp", tr.addr)
	}
	conn, err := tls.DialWithDialer(dialer, "tcp", tr.addr, tr.secure)
	if err != nil {
		return nil, err // and no connection that is not nil
	}
	return conn, nil
}

func (tr *traffic) run(keep bool) {
	var conn net.Conn
	var reader *bufio.Reader
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	timer := time.NewTicker(tr.pace)
	defer timer.Stop()
	for {
		select {
		case <-tr.stop:
			return
		case <-timer.C:
		}
		begun := time.Now()
		if conn == nil {
			var err error
			if conn, err = tr.dial(); err != nil {
				tr.note(begun, "", err)
				continue
			}
			reader = bufio.NewReader(conn)
		}
		again, origin, err := tr.ask(conn, reader, keep)
		tr.note(begun, origin, err)
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
	if err := conn.SetDeadline(time.Now().Add(waitLong)); err != nil {
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

func (tr *traffic) note(begun time.Time, origin string, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if err != nil {
		tr.failures = append(tr.failures, failure{begun, time.Now(), err})
		return
	}
	tr.good++
	tr.origins[origin]++
}

// count is how many were answered well.
func (tr *traffic) count() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.good
}

// more waits until n further requests have been answered well.
func (tr *traffic) more(n int) {
	tr.w.t.Helper()
	begin := tr.count()
	weirtest.Eventually(tr.w.t, waitLong, func() error {
		if got := tr.count() - begin; got < n {
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

// failsOnly fails the test when a request failed that was over before HAProxy was dead, or had begun after it was back.
// Those in between are let go, with what failed in them.
func (tr *traffic) failsOnly(dead, back time.Time) {
	tr.w.t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var rest []failure
	for _, f := range tr.failures {
		if f.ended.Before(dead) || f.begun.After(back) {
			rest = append(rest, f)
		}
	}
	if len(rest) > 0 {
		tr.w.t.Errorf("HAProxy was dead from %s to %s, and these failed: %v", dead.Format("15:04:05.000"), back.Format("05.000"), rest[:min(3, len(rest))])
	}
	tr.failures = nil
}
