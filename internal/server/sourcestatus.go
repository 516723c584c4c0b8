package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir"
	"weir/internal/discovery"
	"weir/internal/sources"
	"weir/internal/store"
)

// foundServers is what is known of DiscoverySources, whichever server watches them.
type foundServers struct {
	mu      sync.RWMutex
	sources map[string]*weir.SourceStatus
}

func (s *foundServers) of(name string) *weir.SourceStatus {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sources[name]
}

// followSources keeps up with what is written down of sources, until ctx ends.
func (s *server) followSources(ctx context.Context) {
	s.store.FollowPlatforms(ctx, sources.RecordPrefix, func(changed []store.PlatformValue) {
		known := &s.fleet.found
		known.mu.Lock()
		defer known.mu.Unlock()
		for _, v := range changed {
			name := strings.TrimPrefix(v.Name, sources.RecordPrefix)
			// What only the watcher needs is not read.
			var kept struct{ Status weir.SourceStatus }
			if v.Generation == 0 || json.Unmarshal(v.Value.Bytes(), &kept) != nil {
				delete(known.sources, name)
				continue
			}
			if known.sources == nil {
				known.sources = map[string]*weir.SourceStatus{}
			}
			known.sources[name] = &kept.Status
		}
	})
}

// source is what is so of a DiscoverySource besides its conditions, nil for other objects.
func (v *view) source() *weir.SourceStatus {
	if v.object.Kind != "DiscoverySource" {
		return nil
	}
	return v.found.of(v.ref.Name)
}

// watched says of a DiscoverySource whether it answers, and whether all is believed that it says.
func (v *view) watched() (list []weir.Condition) {
	if v.object.Kind != "DiscoverySource" {
		return nil
	}
	s := v.source()
	c := weir.Condition{Type: weir.Watched, Status: "Unknown", Reason: "NotYet", Message: "no server watches it yet"}
	if s == nil {
		return append(list, c)
	}
	c.Since, c.Message = s.WatchedSince, sees(s)
	switch {
	case s.Error != "":
		c.Status, c.Reason, c.Since = "False", "Failing", s.FailedAt
		c.Message = fmt.Sprintf("%s; what was learned before stands: %s", s.Error, c.Message)
		if s.AnsweredAt.IsZero() && s.Servers == 0 {
			c.Message = s.Error + "; nothing was learned of it yet"
		}
	case s.Unwritten != "":
		c.Status, c.Reason, c.Message = "False", "NotWritten", "servers can't be written: "+s.Unwritten
	case s.AnsweredAt.IsZero():
		c.Message = "it has not answered yet"
	default:
		c.Status, c.Reason = "True", "Answers"
	}
	list = append(list, c)
	if d := s.Doubt; d != nil {
		list = append(list, weir.Condition{
			Type: weir.Believed, Status: "False", Reason: "Doubted", Since: d.Since, Of: s.Servers, Ready: s.Servers - d.Servers,
			Message: doubtful(v.ref.Name, d),
		})
	}
	return list
}

func doubtful(source string, d *weir.SourceDoubt) string {
	return fmt.Sprintf("%s; %s until %s at least, unless the source has what is gone again; weir discoverysource confirm %s lets it go at once",
		d.Why, areKept(d.Servers), clock(d.Until), source)
}

// troubled says of which sources somebody should know: those that fail, and those that are doubted.
func (f *fleet) troubled() (list []weir.Problem) {
	for o := range f.store.View().All("DiscoverySource") {
		name := o.Metadata.Name
		s := f.found.of(name)
		if s == nil {
			continue
		}
		var why []string
		switch {
		case s.Error != "":
			why = append(why, s.Error+theyStay(s.Servers))
		case s.Unwritten != "":
			why = append(why, "servers can't be written: "+s.Unwritten)
		}
		if s.Doubt != nil {
			why = append(why, doubtful(name, s.Doubt))
		}
		if len(why) > 0 {
			list = append(list, weir.Problem{Object: o.Ref().String(), Message: strings.Join(why, "; ")})
		}
	}
	slices.SortFunc(list, func(a, b weir.Problem) int { return strings.Compare(a.Object, b.Object) })
	return list
}

// sees tells in a sentence what a source has, and what became of it.
func sees(s *weir.SourceStatus) string {
	text := fmt.Sprintf("it has %s", count(s.Found, "instance"))
	for _, part := range []struct {
		n    int
		word string
	}{{s.NotReady, "not ready"}, {s.Draining, "draining"}, {s.LeftOut, "left out"}, {s.Damped, "kept out for coming and going"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	text += fmt.Sprintf("; %s, %d healthy", count(s.Servers, "server"), s.Healthy)
	if s.Unread {
		text += "; not all of it has been read yet"
	}
	return text
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// theyStay says that nothing happens to the servers of a source that fails.
func theyStay(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "; its server stays"
	}
	return fmt.Sprintf("; its %d servers stay", n)
}

func areKept(n int) string {
	if n == 1 {
		return "1 server is kept"
	}
	return fmt.Sprintf("%d servers are kept", n)
}

// ConfirmSource implements api.ConfirmSource.
func (f *fleet) ConfirmSource(ctx context.Context, name string, number int64, by, reason string) error {
	s := f.found.of(name)
	switch {
	case s == nil || s.Doubt == nil:
		return weir.Errorf(weir.Conflict, "nothing is doubted of DiscoverySource/%s", name)
	case number != s.Doubt.Number:
		return weir.Errorf(weir.Conflict, "more is gone from DiscoverySource/%s than was looked at: look again", name)
	}
	raw, err := json.Marshal(discovery.Confirmation{Number: number, By: by, Reason: reason})
	if err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	key := sources.ConfirmPrefix + name
	_, generation, err := f.store.Platform(ctx, key)
	if err != nil && weir.KindOf(err) != weir.NotFound {
		return err
	}
	if err := f.store.SetPlatform(ctx, key, raw, generation); err != nil {
		return err
	}
	f.awaitBelieved(ctx, name, number)
	return nil
}

// awaitBelieved waits until a doubt is no more, for as long as people care to wait.
func (f *fleet) awaitBelieved(ctx context.Context, name string, number int64) {
	ctx, cancel := context.WithTimeout(ctx, shownWithin)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		if s := f.found.of(name); s == nil || s.Doubt == nil || s.Doubt.Number != number {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// What sources have has series by source; which servers they are says weir describe.
var (
	sourceUpDesc       = prometheus.NewDesc("weir_discovery_up", "1 while the source answers.", []string{"source"}, nil)
	sourceAnsweredDesc = prometheus.NewDesc("weir_discovery_answered_timestamp_seconds", "When the source answered last, in seconds since 1970; 0 for never. It is written down about twice a minute.", []string{"source"}, nil)
	sourceFoundDesc    = prometheus.NewDesc("weir_discovery_instances", "Instances that the source has, by what became of them.", []string{"source", "state"}, nil)
	sourceServersDesc  = prometheus.NewDesc("weir_discovery_servers", "Servers that the source has written.", []string{"source"}, nil)
	sourceHealthyDesc  = prometheus.NewDesc("weir_discovery_servers_healthy", "Servers of the source that may take traffic.", []string{"source"}, nil)
	sourceDoubtedDesc  = prometheus.NewDesc("weir_discovery_servers_doubted", "Servers that are gone from the source and are kept, since that is not believed.", []string{"source"}, nil)
	sourceDampedDesc   = prometheus.NewDesc("weir_discovery_servers_damped", "Servers that are kept out for coming and going too often.", []string{"source"}, nil)
	sourceMovesDesc    = prometheus.NewDesc("weir_discovery_moves_total", "Servers that began (came) or ceased (went) to take traffic.", []string{"source", "direction"}, nil)
)

// sourceFigures gives how it stands with sources.
func (f *fleet) sourceFigures(out chan<- prometheus.Metric) {
	for o := range f.store.View().All("DiscoverySource") {
		name, s := o.Metadata.Name, f.found.of(o.Metadata.Name)
		if s == nil {
			s = &weir.SourceStatus{}
		}
		gauge := func(desc *prometheus.Desc, value float64, more ...string) {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{name}, more...)...)
		}
		up, answered, doubted := 0.0, 0.0, 0
		if !s.AnsweredAt.IsZero() {
			answered = float64(s.AnsweredAt.Unix())
			if s.Error == "" {
				up = 1
			}
		}
		if s.Doubt != nil {
			doubted = s.Doubt.Servers
		}
		gauge(sourceUpDesc, up)
		gauge(sourceAnsweredDesc, answered)
		gauge(sourceServersDesc, float64(s.Servers))
		gauge(sourceHealthyDesc, float64(s.Healthy))
		gauge(sourceDoubtedDesc, float64(doubted))
		gauge(sourceDampedDesc, float64(s.Damped))
		for state, n := range map[string]int{"ready": s.Ready, "notReady": s.NotReady, "draining": s.Draining, "leftOut": s.LeftOut} {
			gauge(sourceFoundDesc, float64(n), state)
		}
		for direction, n := range map[string]int64{"came": s.Came, "went": s.Went} {
			out <- prometheus.MustNewConstMetric(sourceMovesDesc, prometheus.CounterValue, float64(n), name, direction)
		}
	}
}
