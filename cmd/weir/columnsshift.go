package main

import (
	"cmp"
	"time"

	"weir"
)

var shiftTable = kindTable{
	columns: []column{{title: "WHOSE", shrinks: true}, {title: "OUT OF"}, {title: "EXPIRES", restless: true}, {title: "PROGRAMMED"}, {title: "BY", optional: true}, {title: "REASON", shrinks: true}},
	learn:   learnAuthors, cells: shiftCells,
}

func shiftCells(f *facts, o *object) []cell {
	spec := o.Spec.(*weir.ZoneShift)
	return []cell{{text: whoseText(spec)}, {text: spec.Zone}, expiresCell(spec.ExpiresAt, f.client.now()), programmed(o), f.moves.byHand(o), {text: spec.Reason}}
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
	var live []*object
	for _, o := range all.Items {
		spec := o.Spec.(*weir.ZoneShift)
		if spec.Shifts(o.Metadata.Role, &d.object.Object) && site.ServesFrom(spec.Zone) && d.client.now().Before(spec.ExpiresAt) {
			live = append(live, o)
		}
	}
	if len(live) == 0 {
		return
	}
	d.section("Shifted by hand")
	authors := d.client.authorsOf(d.ctx, live)
	for _, o := range live {
		spec := o.Spec.(*weir.ZoneShift)
		by := cmp.Or(authors[o.Metadata.Name], "somebody")
		d.line(d.wrapped("  ", d.warning("out of "+spec.Zone)+" until "+clock(spec.ExpiresAt)+" by "+clean(by)+": "+oneLine(spec.Reason)+d.faint(" ("+o.Ref().String()+")")))
	}
}
