package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir"
)

// sourceTable shows how it stands with sources.
var sourceTable = kindTable{
	columns: []column{{title: "TYPE"}, {title: "WATCHES", shrinks: true, optional: true}, {title: "ROLE", optional: true}, {title: "FOUND", right: true}, {title: "SERVERS"}, {title: "ANSWERED", restless: true}, {title: "TROUBLE", shrinks: true}},
	cells:   sourceCells,
}

func sourceCells(f *facts, o *object) []cell {
	spec, now := o.Spec.(*weir.DiscoverySource), f.client.now()
	cells := []cell{{text: spec.Driver()}, {text: spec.Place()}, {text: spec.Role}}
	if o.Status == nil || o.Status.Source == nil {
		return append(cells, cell{}, cell{}, cell{"not watched yet", warning}, cell{})
	}
	s := o.Status.Source
	servers := cell{fmt.Sprintf("%d/%d healthy", s.Healthy, s.Servers), good}
	if s.Healthy < s.Servers {
		servers.tone = warning
	}
	return append(cells, cell{text: strconv.Itoa(s.Found)}, servers, answeredCell(s, now), sourceTrouble(s, spec.Place()))
}

func answeredCell(s *weir.SourceStatus, now time.Time) cell {
	if s.AnsweredAt.IsZero() {
		return cell{"never", bad}
	}
	c := cell{text: ago(s.AnsweredAt, now)}
	if !s.FailedAt.IsZero() {
		c.tone = bad
	}
	return c
}

// sourceTrouble is the worst that there is to say of a source; where it is stands beside that.
func sourceTrouble(s *weir.SourceStatus, place string) cell {
	switch {
	case s.Doubt != nil:
		return cell{fmt.Sprintf("%s gone, kept", doubtedOf(s.Doubt)), bad}
	case s.Error != "":
		if _, why, ok := strings.Cut(s.Error, place+": "); ok && place != "" {
			return cell{why, bad}
		}
		return cell{s.Error, bad}
	case s.Unwritten != "":
		return cell{s.Unwritten, bad}
	case s.LeftOut > 0:
		return cell{fmt.Sprintf("%d left out", s.LeftOut), warning}
	case s.Damped > 0:
		return cell{fmt.Sprintf("%d come and go", s.Damped), warning}
	}
	return cell{}
}

// source tells what a source sees, and what is doubted, kept out and left out of that.
func (d *description) source() {
	if d.object.Status == nil || d.object.Status.Source == nil {
		return
	}
	s, now := d.object.Status.Source, d.client.now()
	d.section("Watched")
	d.line(d.wrapped("  ", fmt.Sprintf("by %s, for %s", clean(s.Watcher), roughly(now.Sub(s.WatchedSince)))))
	switch {
	case s.AnsweredAt.IsZero():
		d.line("  " + d.bad("it has not answered yet"))
	default:
		d.line("  answered " + ago(s.AnsweredAt, now))
	}
	if s.Error != "" {
		d.line(d.wrapped("  ", d.bad("fails since "+clock(s.FailedAt)+": ")+oneLine(s.Error)))
	}
	if s.Unwritten != "" {
		d.line(d.wrapped("  ", d.bad("servers can't be written: ")+oneLine(s.Unwritten)))
	}
	if s.AnsweredAt.IsZero() && s.Servers == 0 {
		return
	}
	d.line(d.wrapped("  ", fmt.Sprintf("it has %d instances: %d ready, %d not ready, %d draining", s.Found, s.Ready, s.NotReady, s.Draining)))
	d.line(d.wrapped("  ", fmt.Sprintf("%d servers, %d healthy; %d came and %d went so far", s.Servers, s.Healthy, s.Came, s.Went)))
	if s.Change != "" {
		d.line(d.wrapped("  ", fmt.Sprintf("last change %s: %s", ago(s.ChangedAt, now), oneLine(s.Change))))
	}
	d.doubted(s.Doubt, now)
	d.keptOut(s, now)
}

// doubted tells what is gone from a source and kept all the same.
func (d *description) doubted(doubt *weir.SourceDoubt, now time.Time) {
	if doubt == nil {
		return
	}
	d.section("Gone, and kept")
	d.line(d.wrapped("  ", d.bad(doubtedOf(doubt))+", since "+clock(doubt.Since)+": "+oneLine(doubt.Why)))
	d.line(d.wrapped("  ", fmt.Sprintf("believed from %s on, in %s, unless they are there again", clock(doubt.Until), roughly(max(0, doubt.Until.Sub(now))))))
	if len(doubt.Names) > 0 {
		d.line(d.wrapped("  ", doubtedNames(doubt)))
	}
	d.line(d.wrapped("  ", fmt.Sprintf("weir discoverysource confirm %s lets them go", d.object.Metadata.Name)))
}

// keptOut tells which servers come and go too often, and which instances are no servers.
func (d *description) keptOut(s *weir.SourceStatus, now time.Time) {
	if s.Damped > 0 {
		d.section("Kept out for coming and going")
		t := &table{columns: []column{{title: "SERVER"}, {title: "UNTIL"}}}
		for _, one := range s.DampedServers {
			t.add([]cell{{text: one.Server}, {text: clock(one.Until) + ", in " + roughly(max(0, one.Until.Sub(now)))}})
		}
		d.indented(t)
		d.more(s.Damped - len(s.DampedServers))
	}
	if s.LeftOut > 0 {
		d.section("Left out")
		t := &table{columns: []column{{title: "INSTANCE"}, {title: "WHY", folds: true}}}
		for _, one := range s.Left {
			t.add([]cell{{text: one.What}, {text: one.Why}})
		}
		d.indented(t)
		d.more(s.LeftOut - len(s.Left))
	}
}

func (d *description) more(n int) {
	if n > 0 {
		d.line("  " + d.faint(fmt.Sprintf("and %d more", n)))
	}
}
