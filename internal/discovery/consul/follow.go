package consul

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir/internal/discovery"
	"weir/internal/discovery/httpget"
)

// follower asks one question of Consul again and again: for a service, or for the catalogue if it has no name.
type follower struct {
	service string
	end     context.CancelFunc
	read    bool // an answer was taken; the watch's own note
}

// news is what a follower has to tell.
type news struct {
	of   *follower
	same bool // nothing is new
	answer
	err error
}

// follow starts a follower.
func (w *watch) follow(service string) *follower {
	ctx, cancel := context.WithCancel(w.ctx)
	f := &follower{service: service, end: cancel}
	w.running.Go(func() {
		defer cancel()
		w.run(ctx, f)
	})
	return f
}

func (w *watch) run(ctx context.Context, f *follower) {
	var (
		clock    = w.config.Clock
		index    uint64
		failures int
		last     answer
		told     bool
		pace     pace
	)
	for {
		a, err := w.ask(ctx, f.service, index)
		if ctx.Err() != nil {
			return
		}
		if err != nil && index > 0 {
			// A question that hangs may be cut by whatever lies between, and an index that was of use before Consul was
			// restarted is of none. What is there is asked for at once; only if that is not to be had it is a failure.
			index = 0
			continue
		}
		if err != nil {
			failures++
			if !w.send(ctx, news{of: f, err: err}) || !clock.Pause(ctx, clock.Backoff(failures)) {
				return
			}
			continue
		}
		failures = 0
		n := news{of: f, same: told && a.sum == last.sum, answer: a}
		index, last, told = nextIndex(index, a.index), answer{sum: a.sum}, true
		if !w.send(ctx, n) || !clock.Pause(ctx, pace.pause(clock.Now())) {
			return
		}
	}
}

func (w *watch) send(ctx context.Context, n news) bool {
	select {
	case w.news <- n:
		return true
	case <-ctx.Done():
		return false
	}
}

// nextIndex gives the index to ask with after an answer, 0 for asking without one, as HashiCorp's documents say: never
// 0 out of an answer, since a question with it would not hang; and when an index goes backwards, because Consul was
// restarted or restored, from the beginning, since nothing might be newer than the old one for a long time.
func nextIndex(asked, got uint64) uint64 {
	got = max(got, 1)
	if got < asked {
		return 0
	}
	return got
}

// pace keeps a question from being asked too often, when its index moves all the time or what answers does not let it
// hang: ten times at once, then ten times a second.
type pace struct{ ahead time.Time }

func (p *pace) pause(now time.Time) time.Duration {
	const step, burst = 100 * time.Millisecond, 10
	if oldest := now.Add(-burst * step); p.ahead.Before(oldest) {
		p.ahead = oldest
	}
	p.ahead = p.ahead.Add(step)
	return max(p.ahead.Sub(now), 0)
}

// Times beyond what Consul itself takes: it adds up to a sixteenth to the wait, and then has to answer.
const (
	answerTime = 30 * time.Second
	slackPart  = 16
)

// ask asks for a service, or for the catalogue, that is newer than index.
func (s *Source) ask(ctx context.Context, service string, index uint64) (answer, error) {
	u, timeout := s.question(service, index)
	get := s.http.Get
	if index > 0 {
		get = s.http.GetOnce
	}
	got, err := get(ctx, u, s.header, timeout)
	if err == nil {
		err = s.judge(got)
	}
	var a answer
	if err == nil {
		a, err = s.read(service, got)
	}
	if err != nil {
		return answer{}, s.failed(service, err)
	}
	return a, nil
}

// question gives the URL to ask, and how long that may take.
func (s *Source) question(service string, index uint64) (*url.URL, time.Duration) {
	c, u, timeout := s.config, *s.base, answerTime
	params := url.Values{}
	set := func(name, value string) {
		if value != "" {
			params.Set(name, value)
		}
	}
	set("dc", c.Datacenter)
	set("ns", c.Namespace)
	set("partition", c.Partition)
	if c.Stale {
		params.Set("stale", "")
	}
	path := "/v1/catalog/services"
	if service != "" {
		path = "/v1/health/service/" + url.PathEscape(service)
		set("filter", c.Filter)
		if len(c.Tags) > 0 {
			params["tag"] = c.Tags
		}
	}
	if index > 0 {
		wait := c.Clock.Spread(c.wait()).Round(time.Millisecond)
		params.Set("index", strconv.FormatUint(index, 10))
		params.Set("wait", wait.String())
		timeout += wait + wait/slackPart
	}
	u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + path
	u.Path, _ = url.PathUnescape(u.RawPath)
	u.RawQuery = params.Encode()
	return &u, timeout
}

// judge refuses answers whose body is not what was asked for.
func (s *Source) judge(got *httpget.Answer) error {
	if got.Status != http.StatusOK {
		return s.refused(got)
	}
	if strings.EqualFold(got.Header.Get("X-Consul-KnownLeader"), "false") {
		return errors.New("the server that answered knows no leader, so that what it has may be old; look at: consul operator raft list-peers")
	}
	return nil
}

// read makes sense of an answer.
func (s *Source) read(service string, got *httpget.Answer) (answer, error) {
	text := got.Header.Get("X-Consul-Index")
	index, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return answer{}, errNoIndex(text)
	}
	a := answer{index: index}
	filtered := strings.EqualFold(got.Header.Get("X-Consul-Results-Filtered-By-ACLs"), "true")
	if service == "" {
		a.names, err = readCatalogue(got.Body, s.config.Tags)
		filtered = filtered && len(a.names) == 0 // a token for some services is as good as one for all
		a.sum = sumOf(a.names)
	} else {
		a.found, err = readHealth(got.Body, s.config.OnlyPassing)
		a.sum = discovery.Sum(a.found)
	}
	if err == nil && filtered {
		err = errFiltered
	}
	if err != nil {
		return answer{}, err
	}
	return a, nil
}
