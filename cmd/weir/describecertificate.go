package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir"
)

// certificate shows until when one lasts, what comes next, and where it is served.
func (d *description) certificate(spec *weir.Certificate) {
	now := d.client.now()
	d.section("Certificate")
	if info := spec.Info; info != nil {
		state := d.good("good until ")
		left := fmt.Sprintf(", %s left", count(int(info.NotAfter.Sub(now).Hours()/24), "day", "days"))
		switch {
		case spec.Revoked != nil:
			state, left = d.bad("revoked; it would have been good until "), ""
		case !now.Before(info.NotAfter):
			state, left = d.bad("EXPIRED at "), ", "+ago(info.NotAfter, now)
		}
		d.line(d.wrapped("  ", state+clock(info.NotAfter)+left))
		if len(info.Names) > 0 {
			d.line(d.wrapped("  ", "for "+clean(some(info.Names, 10))))
		}
		d.line(d.wrapped("  ", fmt.Sprintf("serial %s, %s, from %s, begun %s", clean(info.Serial), clean(info.KeyType), clean(info.Issuer), clock(info.NotBefore))))
	}
	s := d.object.Status
	if s == nil || s.Certificate == nil {
		return
	}
	if r := s.Certificate.Renewal; r != nil {
		for _, text := range d.renewal(r) {
			d.line(d.wrapped("  ", text))
		}
	} else {
		d.line(d.wrapped("  ", "renewed by hand: apply it again with another chain and key"))
	}
	if _, ordered := weir.OrderOf(&d.object.Object); ordered && s.Certificate.Uses > 0 {
		d.line(d.wrapped("  ", "ordered by itself for "+some(s.Certificate.UsedBy, 10)))
	}
	if len(s.Certificate.Groups) > 0 {
		d.section("Served, as read back and shown to the agents")
		d.indented(d.servedTable(s.Certificate.Groups))
	}
}

// renewal says how it stands with the next certificate.
func (d *description) renewal(r *weir.Renewal) (texts []string) {
	now := d.client.now()
	because := ""
	if r.Why != "" {
		because = ", because " + oneLine(r.Why)
	}
	switch r.State {
	case weir.RenewalScheduled:
		texts = append(texts, fmt.Sprintf("the next is ordered in %s, at %s%s", roughly(r.At.Sub(now)), clock(r.At), because))
	case weir.RenewalDue:
		texts = append(texts, d.warning("another is to be ordered now")+because)
	case weir.RenewalOrdering:
		texts = append(texts, d.warning("another is ordered: ")+oneLine(r.Why))
	case weir.RenewalWaiting:
		texts = append(texts, d.warning(fmt.Sprintf("another is not ordered before %s: ", clock(r.At)))+oneLine(r.Why))
	case weir.RenewalFailing:
		when := "now"
		if r.At.After(now) {
			when = fmt.Sprintf("in %s, at %s", roughly(r.At.Sub(now)), clock(r.At))
		}
		texts = append(texts, d.bad(fmt.Sprintf("ordering another failed %s", times(r.Failures)))+fmt.Sprintf("; try %d is %s%s", r.Failures+1, when, because))
	case weir.RenewalStuck:
		texts = append(texts, d.bad("no other can be ordered: ")+oneLine(r.Why))
	default:
		if r.Why != "" {
			texts = append(texts, oneLine(r.Why))
			break
		}
		texts = append(texts, "no other is ordered; weir certificate renew asks for one")
	}
	if r.Error != "" {
		texts = append(texts, "last trouble: "+oneLine(r.Error))
	}
	if !r.IssuedAt.IsZero() {
		texts = append(texts, "issued "+ago(r.IssuedAt, now))
	}
	return texts
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// mostServing is of how many load balancers of a group each has a line of its own.
const mostServing = 12

// servedTable has a row for each load balancer, or for each group where they are many or the caller may not see them.
func (d *description) servedTable(groups []weir.ServedGroup) *table {
	members := map[string][]string{}
	if fleet, err := d.client.fleet(d.ctx); err == nil {
		for _, g := range fleet.Groups {
			for _, lb := range g.LoadBalancers {
				if lb.State == weir.Active {
					members[g.Name] = append(members[g.Name], lb.Name)
				}
			}
		}
	}
	t := &table{columns: []column{{title: "GROUP"}, {title: "SERVED"}, {title: "LOAD BALANCERS"}}}
	for _, g := range groups {
		served := cell{fmt.Sprintf("%d/%d", g.Ready, g.Of), good}
		if g.Ready < g.Of {
			served.tone = warning
		}
		where := ""
		switch list := members[g.Name]; {
		case len(list) > 0 && len(list) <= mostServing:
			yes := slices.DeleteFunc(slices.Clone(list), func(name string) bool { return slices.Contains(g.Missing, name) })
			where = list2("by ", yes) + list2("not yet by ", g.Missing)
		case len(g.Missing) > 0:
			where = "not yet by " + some(g.Missing, mostServing)
		case g.Of > 0:
			where = "by all"
		}
		t.add([]cell{{text: g.Name}, served, {text: strings.TrimPrefix(where, "; ")}})
	}
	return t
}

// list2 is list behind a word, after a semicolon; empty for none.
func list2(word string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; " + word + list(names)
}

// issuer shows what is ordered of one, and how much of its limits is left.
func (d *description) issuer() {
	s, now := d.object.Status, d.client.now()
	if s == nil || s.Issuer == nil {
		return
	}
	d.section("Orders")
	var states []string
	for _, state := range weir.RenewalStates {
		if n := s.Issuer.Certificates[state]; n > 0 {
			states = append(states, fmt.Sprintf("%d %s", n, stateWords[state]))
		}
	}
	if len(states) == 0 {
		states = []string{"no Certificate names it"}
	}
	d.line(d.wrapped("  ", "certificates: "+strings.Join(states, ", ")))
	if !s.Issuer.Next.IsZero() {
		name := ""
		if s.Issuer.NextName != "" {
			name = ", for Certificate/" + clean(s.Issuer.NextName)
		}
		d.line(d.wrapped("  ", fmt.Sprintf("the next is ordered in %s, at %s%s", roughly(s.Issuer.Next.Sub(now)), clock(s.Issuer.Next), name)))
	}
	if !s.Issuer.IssuedAt.IsZero() {
		d.line("  gave one " + ago(s.Issuer.IssuedAt, now))
	}
	if s.Issuer.Error != "" {
		d.line(d.wrapped("  ", d.bad("last error:")+fmt.Sprintf(" %s, Certificate/%s: %s", ago(s.Issuer.FailedAt, now), clean(s.Issuer.FailedName), oneLine(s.Issuer.Error))))
	}
	if len(s.Issuer.Budgets) == 0 {
		return
	}
	d.section("Limits")
	t := &table{columns: []column{{title: "COUNTED"}, {title: "USED", right: true}, {title: "LEFT", right: true}, {title: "MOST BY"}, {title: "AGAIN"}}}
	for _, b := range s.Issuer.Budgets {
		left, again := cell{strconv.Itoa(max(0, b.Of-b.Used)), good}, cell{}
		if b.Used >= b.Of {
			left.tone = bad
		}
		if b.Free.After(now) {
			again = cell{"in " + roughly(b.Free.Sub(now)), warning}
		}
		t.add([]cell{{text: b.Limit}, {text: strconv.Itoa(b.Used)}, left, {text: b.By}, again})
	}
	d.indented(t)
}

// stateWords say what the states of a renewal mean.
var stateWords = map[string]string{
	weir.RenewalScheduled: "good", weir.RenewalDue: "to be ordered now", weir.RenewalOrdering: "under way", weir.RenewalWaiting: "waiting for a limit",
	weir.RenewalFailing: "failing", weir.RenewalStuck: "without an issuer", weir.RenewalNone: "not wanted any more",
}
