package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/link"
)

// partnerCalls follow what fails of calls to partners.
type partnerCalls struct {
	// began is when reports were looked at first; what was counted before is nobody's minute.
	began time.Time
	mu    sync.Mutex
	// samples are by load balancer, the oldest first; failing are by service, as partner.environment.service.
	samples map[string][]callSample
	failing map[string]failingCalls
	// lately are the calls of the last minute, by service.
	lately map[string]callSums
}

// callSample is what a load balancer had counted at a moment, by service.
type callSample struct {
	since time.Time
	// fresh says that all of it was counted since this server looks.
	fresh bool
	by    map[string]callSums
}

// callSums are calls, and those of them that failed by the partner's fault or by Weir's.
type callSums struct{ calls, partner, weir uint64 }

// failingCalls are those of the last minute to a service of which a good part fails, and since when that is so.
type failingCalls struct {
	callSums
	since time.Time
}

// What is less of a service's calls, or fewer of them, is not told of an object; the figures have it.
const (
	failingShare   = 0.05
	failingAtLeast = 3
)

// follow looks at reports until ctx ends, as refusals do.
func (p *partnerCalls) follow(ctx context.Context, f *fleet) {
	p.began = f.clock()
	tick := time.NewTicker(refusalPace)
	defer tick.Stop()
	for {
		p.take(f.hub.Reports().All(), f.believed, f.clock())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// take takes a sample of what each load balancer has counted. Believed says what one can tell of.
func (p *partnerCalls) take(reports map[string]link.Reported, believed func(lb string) func(weir.Ref) bool, now time.Time) {
	next := map[string]callSample{} // before the lock, since believed has one of its own
	for lb, rep := range reports {
		if rep.Calls == nil {
			continue
		}
		var c accesslog.Counts
		if c.TakeCalls(rep.Calls.Columns, rep.Calls.Rows) != nil {
			continue
		}
		has, sample := believed(lb), callSample{rep.Calls.Since, p.fresh(rep), map[string]callSums{}}
		for i := range c.Calls {
			if call := &c.Calls[i]; has(weir.Ref{Kind: "Pool", Name: call.Service}) {
				s := sample.by[call.Service]
				sample.by[call.Service] = callSums{s.calls + call.Requests(), s.partner + call.Faults.Partner, s.weir + call.Faults.Weir}
			}
		}
		next[lb] = sample
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	samples, grown := map[string][]callSample{}, map[string]callSums{}
	for lb, is := range next {
		list := p.samples[lb]
		if n := len(list); n > 0 && !list[n-1].since.Equal(is.since) {
			list = nil // its counters began anew
		}
		if len(list) == 0 && is.fresh {
			list = []callSample{{since: is.since}}
		}
		list = append(slices.Clone(list[max(0, len(list)-refusalsBack):]), is)
		samples[lb] = list
		for name, now := range is.by {
			was, s := list[0].by[name], grown[name]
			grown[name] = callSums{s.calls + now.calls - min(now.calls, was.calls), s.partner + now.partner - min(now.partner, was.partner), s.weir + now.weir - min(now.weir, was.weir)}
		}
	}
	p.samples, p.lately = samples, grown
	failing := map[string]failingCalls{}
	for name, s := range grown {
		if bad := s.partner + s.weir; bad < failingAtLeast || float64(bad) < failingShare*float64(s.calls) {
			continue
		}
		f := failingCalls{s, now}
		if was, ok := p.failing[name]; ok {
			f.since = was.since
		}
		failing[name] = f
	}
	p.failing = failing
}

// fresh says that a load balancer's counters of calls were zero, by this machine's clock, after reports were looked at first.
func (p *partnerCalls) fresh(rep link.Reported) bool {
	return !rep.Now.IsZero() && rep.At.Add(rep.Calls.Since.Sub(rep.Now)).After(p.began)
}

// answering says of a Partner whether a good part of the calls to it fails, or that nobody called; ok is false where no
// load balancer can call it and no call failed.
func (v *view) answering() (c weir.Condition, ok bool) {
	if v.ref.Kind != "Partner" {
		return c, false
	}
	p := &v.partnerCalls
	p.mu.Lock()
	defer p.mu.Unlock()
	c = weir.Condition{Type: weir.Answering, Status: "False", Reason: "Fails"}
	var texts []string
	ours := true
	for _, name := range sortedNames(p.failing) {
		service, mine := strings.CutPrefix(name, v.ref.Name+".")
		if !mine {
			continue
		}
		f := p.failing[name]
		texts = append(texts, strings.Replace(service, ".", "/", 1)+": "+f.text())
		ours = ours && f.partner == 0
		if c.Since.IsZero() || f.since.Before(c.Since) {
			c.Since = f.since
		}
	}
	if ours {
		c.Reason = "FailsHere"
	}
	c.Message = strings.Join(texts, "; ")
	if len(texts) == 0 {
		return p.well(v.ref.Name), v.needed
	}
	return c, true
}

// well says of a partner to which no good part of the calls fails whether there were any.
func (p *partnerCalls) well(partner string) weir.Condition {
	var sum callSums
	for name, s := range p.lately {
		if strings.HasPrefix(name, partner+".") {
			sum.calls, sum.partner, sum.weir = sum.calls+s.calls, sum.partner+s.partner, sum.weir+s.weir
		}
	}
	switch {
	case sum.calls == 0:
		return weir.Condition{Type: weir.Answering, Status: "Unknown", Reason: "NoCalls", Message: "no call was seen in the last minute"}
	case sum.partner+sum.weir > 0:
		return weir.Condition{Type: weir.Answering, Status: "True", Reason: "Answers", Message: "few calls of the last minute failed"}
	}
	return weir.Condition{Type: weir.Answering, Status: "True", Reason: "Answers", Message: "no call of the last minute failed"}
}

// failingPartners names the Partners that do not answer, or whose hosts the DNS does not know, by their names.
func (m *moment) failingPartners() (list []weir.Problem) {
	for o := range m.store.View().All("Partner") {
		v := &view{moment: m, object: o, ref: o.Ref()}
		conditions := v.named()
		if c, fails := v.answering(); fails {
			conditions = append(conditions, c)
		}
		var why []string
		for _, c := range conditions {
			if c.Status == "False" {
				why = append(why, c.Message)
			}
		}
		if len(why) > 0 {
			list = append(list, weir.Problem{Object: o.Ref().String(), Message: strings.Join(why, "; ")})
		}
	}
	slices.SortFunc(list, func(a, b weir.Problem) int { return strings.Compare(a.Object, b.Object) })
	return list
}

func (f failingCalls) text() string {
	text := fmt.Sprintf("of %d calls of the last minute", f.calls)
	if f.partner > 0 {
		text += fmt.Sprintf(" %d failed there: it can't be reached or verified, is too slow, breaks off or answers 5xx", f.partner)
	}
	if f.partner > 0 && f.weir > 0 {
		text += ", and"
	}
	if f.weir > 0 {
		text += fmt.Sprintf(" %d failed on Weir's side: no address is known, a certificate is missing, or a limit of the load balancer was reached", f.weir)
	}
	return text
}
