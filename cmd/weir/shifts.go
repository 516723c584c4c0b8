package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"weir"
)

var shiftTable = kindTable{
	columns: []column{{title: "WHOSE", shrinks: true}, {title: "OUT OF"}, {title: "EXPIRES", restless: true}, {title: "PROGRAMMED"}, {title: "BY", optional: true}, {title: "REASON", shrinks: true}},
	learn:   learnAuthors, cells: shiftCells,
}

func shiftCells(f *facts, o *object) []cell {
	spec := o.Spec.(*weir.ZoneShift)
	return []cell{{text: whoseText(spec)}, {text: spec.Zone}, shiftExpires(spec, f.client.now()), programmed(o), f.moves.byHand(o), {text: spec.Reason}}
}

// shiftExpires says when a shift ends, or what it goes by.
func shiftExpires(z *weir.ZoneShift, now time.Time) cell {
	if z.Schedule != "" {
		return cell{text: "by " + clean(z.Schedule)}
	}
	return expiresCell(z.ExpiresAt, now)
}

// over says that a shift has ended; of one that goes by a schedule that is not known here.
func over(z *weir.ZoneShift, now time.Time) bool { return z.Schedule == "" && !now.Before(z.ExpiresAt) }

// lasts says for how long a shift holds.
func lasts(z *weir.ZoneShift, now time.Time) string {
	if z.Schedule != "" {
		return "while Schedule/" + clean(z.Schedule) + " holds"
	}
	return "for another " + span(z.ExpiresAt.Sub(now))
}

// expiresCell says when something that was done by hand ends.
func expiresCell(at, now time.Time) cell {
	left := at.Sub(now)
	switch {
	case left <= 0:
		return cell{"expired " + ago(at, now), faint}
	case left < 10*time.Minute:
		return cell{"in " + span(left), warning}
	}
	return cell{text: "in " + span(left)}
}

// shifts tells of a site out of which zones it is shifted, until when, by whom and why.
func (d *description) shifts(site *weir.Site) {
	kind, _ := weir.KindByName("ZoneShift")
	all, err := d.client.all(d.ctx, kind, nil)
	if err != nil {
		return
	}
	live := slices.DeleteFunc(all.Items, func(o *object) bool {
		spec := o.Spec.(*weir.ZoneShift)
		return !spec.Shifts(o.Metadata.Role, &d.object.Object) || !site.ServesFrom(spec.Zone) || over(spec, d.client.now())
	})
	if len(live) == 0 {
		return
	}
	d.section("Shifted by hand")
	authors := d.client.authorsOf(d.ctx, live)
	for _, o := range live {
		spec := o.Spec.(*weir.ZoneShift)
		by := cmp.Or(authors[o.Metadata.Name], "somebody")
		until := " until " + clock(spec.ExpiresAt)
		if spec.Schedule != "" {
			until = " " + lasts(spec, d.client.now())
		}
		d.line(d.wrapped("  ", d.warning("out of "+spec.Zone)+until+" by "+clean(by)+": "+oneLine(spec.Reason)+d.faint(" ("+o.Ref().String()+")")))
	}
}

// mostShifts is how many shifts the state of the fleet names.
const mostShifts = 5

// printShifts tells what is out of which zone; what can't be learnt is left out.
func printShifts(ctx context.Context, s *screen, c *client) {
	kind, _ := weir.KindByName("ZoneShift")
	all, err := c.all(ctx, kind, nil)
	if err != nil {
		return
	}
	live := slices.DeleteFunc(all.Items, func(o *object) bool { return over(o.Spec.(*weir.ZoneShift), c.now()) })
	for i, o := range live {
		if i == 0 {
			s.line("")
		}
		if i == mostShifts {
			s.line(s.faint(fmt.Sprintf("… and %d more, with weir failover list", len(live)-mostShifts)))
			return
		}
		spec := o.Spec.(*weir.ZoneShift)
		s.line(s.wrapped("", s.warning("out of "+spec.Zone+": ")+s.strong(clean(whoseText(spec)))+", "+lasts(spec, c.now())+": "+oneLine(spec.Reason)))
	}
}
