package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// canaryClient asks a site again and again, over new connections and over kept ones in turn.
type canaryClient struct {
	t    *testing.T
	at   netip.AddrPort
	stop func()

	mu     sync.Mutex
	asked  int
	failed []string
}

func newCanaryClient(t *testing.T, at netip.AddrPort) *canaryClient {
	c := &canaryClient{t: t, at: at, stop: func() {}}
	t.Cleanup(func() { c.stop() })
	return c
}

func (c *canaryClient) start() {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	for _, kept := range []bool{false, true} {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: !kept}, Timeout: 20 * time.Second}
		ended.Go(func() {
			for ctx.Err() == nil {
				c.ask(ctx, client)
			}
			client.CloseIdleConnections()
		})
	}
	c.stop = func() {
		cancel()
		ended.Wait()
		c.stop = func() {}
	}
}

func (c *canaryClient) ask(ctx context.Context, client *http.Client) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/a/%d", c.at, time.Now().UnixNano()), nil)
	if err != nil {
		c.note(err.Error())
		return
	}
	request.Host = "canary.example.org"
	answer, err := client.Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		c.note(err.Error())
	case answer.StatusCode != http.StatusOK:
		c.note(answer.Status)
	}
	c.mu.Lock()
	c.asked++
	c.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond): // nothing on the way takes less, and who asks more often makes it longer
	}
}

// serves waits for the first good answer.
func (c *canaryClient) serves() {
	c.t.Helper()
	weirtest.Eventually(c.t, longWait, func() error {
		c.ask(c.t.Context(), http.DefaultClient)
		if said := c.failures(); said != "" {
			return errors.New(said)
		}
		return nil
	})
}

func (c *canaryClient) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, time.Now().Format("05.000 ")+what)
}

// failures tells what has failed since the last time, "" for nothing.
func (c *canaryClient) failures() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	failed := c.failed
	c.failed = nil
	if len(failed) == 0 {
		return ""
	}
	return fmt.Sprintf("%d requests failed: %s", len(failed), strings.Join(failed[:min(3, len(failed))], "; "))
}

// sampler reads, over a session of its own, which backends have servers, while others change them.
type sampler struct {
	t      *testing.T
	client *hapctl.Client
	stop   func()

	mu      sync.Mutex
	samples int
	// now is how many servers each pool has by its name without digest, low the fewest since begin, first
	// what it had then.
	now, low, first map[string]int
	// rows is what HAProxy said of a pool's servers when it had none.
	rows map[string][]string
	// proven are the servers that were up since they were made; only sample uses it.
	proven map[string]bool
	// late are the pools of which some server was not checked in time since begin.
	late map[string]bool
}

func newSampler(t *testing.T, socket string) *sampler {
	s := &sampler{t: t, client: hapctl.NewClient(socket), stop: func() {}, low: map[string]int{}, rows: map[string][]string{}, proven: map[string]bool{}, late: map[string]bool{}}
	t.Cleanup(func() {
		s.stop()
		s.client.Close()
	})
	return s
}

func (s *sampler) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			s.sample(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(3 * time.Millisecond):
			}
		}
	}()
	s.stop = func() {
		cancel()
		<-ended
		s.stop = func() {}
	}
	s.next()
}

// sample looks at the map of pools before and after it counts servers: what a request follows is in the map.
func (s *sampler) sample(ctx context.Context) {
	before, err := s.client.Map(ctx, "maps/pools.map")
	if err != nil {
		return // a reload passes over
	}
	rows, err := s.client.Stat(ctx)
	if err != nil {
		return
	}
	after, err := s.client.Map(ctx, "maps/pools.map")
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	active := map[string]int{}
	for _, row := range rows {
		if row.Type == haproxy.StatBackend && !row.Unpublished {
			active[row.Proxy] += 0
		}
	}
	for _, row := range rows {
		if _, ok := active[row.Proxy]; ok && row.Type == haproxy.StatServer && s.serving(row) {
			active[row.Proxy]++
		}
	}
	now := map[string]int{}
	for name, n := range active {
		now[haproxy.BaseName(name)] += n
	}
	// Where maps lead, servers of another generation are no help.
	for _, p := range before {
		if n, ok := active[p.Value]; ok && slices.Contains(after, p) {
			base := haproxy.BaseName(p.Value)
			now[base] = min(now[base], n)
		}
	}
	s.samples++
	s.now = now
	for base, n := range now {
		if low, ok := s.low[base]; ok && n >= low {
			continue
		}
		if n == 0 {
			// «show stat» leaves rows out when backends go while it writes.
			if s.rows[base] = rowsOf(base, rows); len(s.rows[base]) == 0 {
				continue
			}
		}
		s.low[base] = n
	}
}

func rowsOf(pool string, rows []haproxy.StatRow) []string {
	var list []string
	for _, row := range rows {
		if row.Type == haproxy.StatServer && haproxy.BaseName(row.Proxy) == pool {
			list = append(list, fmt.Sprintf("%s/%s %s weight %d check %q %q since %ds", row.Proxy, row.Service, row.Status, row.UserWeight, row.CheckStatus, row.LastCheck, row.LastChange))
		}
	}
	return list
}

// serving says that a server gets requests. One that was up and whose checks fail counts too, until it is made
// anew: the origins always answer, and that a busy machine is late is nothing that the agent does.
func (s *sampler) serving(row haproxy.StatRow) bool {
	name := row.Proxy + "/" + row.Service
	switch {
	case strings.HasPrefix(row.Status, "UP") || row.Status == "no check":
		s.proven[name] = true
	case !strings.HasPrefix(row.Status, "DOWN") || row.CheckStatus == "" || strings.HasSuffix(row.CheckStatus, "INI"):
		delete(s.proven, name)
	case s.proven[name]:
		s.late[haproxy.BaseName(row.Proxy)] = true
	}
	return s.proven[name] && row.UserWeight > 0
}

// wasLate says that checks of a pool were not answered in time since begin: the machine was too busy for requests
// that fail to tell anything.
func (s *sampler) wasLate(pool string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.late[pool]
}

// next waits for a sample that began after now.
func (s *sampler) next() {
	s.t.Helper()
	s.mu.Lock()
	from := s.samples
	s.mu.Unlock()
	weirtest.Eventually(s.t, longWait, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.samples < from+2 {
			return fmt.Errorf("%d samples", s.samples-from)
		}
		return nil
	})
}

func (s *sampler) begin() {
	s.t.Helper()
	s.next()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first, s.low, s.rows, s.late = s.now, map[string]int{}, map[string][]string{}, map[string]bool{}
}

// end names the pools that had servers before and have some now, and were without on the way. A pool that is
// empty now may be one whose servers come up in a moment.
func (s *sampler) end() string {
	s.t.Helper()
	s.next()
	deadline := time.Now().Add(1500 * time.Millisecond)
	for {
		s.mu.Lock()
		var emptied, coming []string
		for base, n := range s.first {
			switch {
			case n == 0 || s.low[base] > 0 || s.late[base]:
			case s.now[base] > 0:
				emptied = append(emptied, base)
			default:
				if _, there := s.now[base]; there {
					coming = append(coming, base)
				}
			}
		}
		s.mu.Unlock()
		if len(emptied) > 0 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return fmt.Sprintf("pools %v were without servers for a while: %s", emptied, strings.Join(s.rows[emptied[0]], "; "))
		}
		if len(coming) == 0 || time.Now().After(deadline) {
			return ""
		}
		s.next()
	}
}
