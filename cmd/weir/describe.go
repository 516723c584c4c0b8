package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

func newDescribe() *cobra.Command {
	return &cobra.Command{
		Use:     "describe KIND NAME",
		GroupID: groupLook,
		Short:   "Show everything that is known of one object",
		Long: `Show everything that is known of one object: what is so, with what each load balancer does not have as wanted;
its spec with the defaults filled in; who refers to it; its last changes; and for a pool every server as every
load balancer sees it.`,
		Example: `  weir describe site www
  weir describe pool web-az1
  weir describe server web-az1-017
  weir describe lb lb-az1-1`,
		Args:              rangeArgs(1, 2, "say which: KIND NAME, or Kind/name"),
		ValidArgsFunction: completeObject,
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := oneRef(args)
			if err != nil {
				return err
			}
			kind, _ := weir.KindByName(ref.Kind)
			if kind.ReadOnly {
				return usagef("a %s is shown with weir history REVISION", kind.Name)
			}
			c, err := connect(cmd)
			if err != nil {
				return err
			}
			o, err := c.one(cmd.Context(), kind, ref.Name)
			if err != nil {
				return err
			}
			d := &description{screen: stdout(cmd), client: c, ctx: cmd.Context(), object: o}
			return d.print()
		},
	}
}

// description prints one object.
type description struct {
	*screen
	client *client
	ctx    context.Context
	object *object
}

func (d *description) print() error {
	o := d.object
	d.printf("%s%s%s\n", d.title(o.Ref().String()), roleOf(d.screen, o), d.faint("  revision "+itoa(o.Revision)))
	d.conditions()
	if err := d.special(); err != nil {
		return err
	}
	d.deviations()
	text, err := toYAML(o.wish())
	if err != nil {
		return err
	}
	d.section("Spec, with defaults filled in")
	for _, line := range linesOf(string(text)) {
		d.line("  " + clean(line))
	}
	if !slices.Contains(usersToldOf, o.Kind) {
		d.referrers()
	}
	d.changes()
	return nil
}

func (d *description) section(name string) { d.printf("\n%s\n", d.strong(name)) }

// conditions tells what is so, each with its reason and since when.
func (d *description) conditions() {
	if d.object.Status == nil || len(d.object.Status.Conditions) == 0 {
		return
	}
	d.section("State")
	conditions := d.object.Status.Conditions
	t := &table{columns: []column{{title: "CONDITION"}, {title: "IS"}}}
	dated := slices.ContainsFunc(conditions, func(c weir.Condition) bool { return !c.Since.IsZero() })
	if dated {
		t.columns = append(t.columns, column{title: "SINCE"})
	}
	t.columns = append(t.columns, column{title: "WHY", folds: true})
	for _, c := range conditions {
		is := cell{c.Status, good}
		switch {
		case c.Status == "Unknown":
			is.tone = warning
		case (c.Status == "True") == (c.Type == weir.Quarantined):
			is.tone = bad
		}
		if c.Of > 0 {
			is.text = fmt.Sprintf("%s %d/%d", c.Status, c.Ready, c.Of)
		}
		why := c.Message
		if why == "" {
			why = c.Reason
		}
		row := []cell{{text: c.Type}, is}
		if dated {
			row = append(row, cell{text: ago(c.Since, d.client.now())})
		}
		t.add(append(row, cell{text: why}))
	}
	d.indented(t)
}

// indented prints a table behind two blanks. Nothing in it is cut or left out: what folds does, as long as there is room.
func (d *description) indented(t *table) {
	t.fit(0)
	if last := len(t.columns) - 1; t.columns[last].folds && d.width > 0 {
		if room := d.width - len("  ") - t.total() + t.widths[last]; room >= fairCell {
			t.widths[last] = min(t.widths[last], room)
		}
	}
	head := make([]cell, len(t.columns))
	for i, c := range t.columns {
		head[i] = cell{c.title, faint}
	}
	whole := *d.screen
	whole.width = 0
	for _, row := range append([][]cell{head}, t.rows...) {
		d.line("  " + strings.ReplaceAll(t.row(&whole, row), "\n", "\n  "))
	}
}

// deviations tells what load balancers do not have as wanted: those for which the same holds in one line.
func (d *description) deviations() {
	fleet, err := d.client.fleet(d.ctx)
	if err != nil {
		return // who may not see the fleet sees the conditions
	}
	t := &table{columns: []column{{title: "LOAD BALANCER"}, {title: "STATE"}, {title: "SINCE"}, {title: "WHY", folds: true}}}
	for i := range fleet.Groups {
		g := &fleet.Groups[i]
		for _, state := range []string{"quarantined", "pending"} {
			for _, f := range faultsOf(g, state) {
				if f.Object == d.object.Ref().String() {
					by := where(f.names, len(g.LoadBalancers))
					if len(f.names) == len(g.LoadBalancers) && len(f.names) > 1 {
						by = "all of " + g.Name
					}
					t.add([]cell{{text: by}, {state, bad}, {text: ago(f.Since, d.client.now())}, {text: cmp.Or(f.Message, f.Reason)}})
				}
			}
		}
		for _, p := range g.Problems {
			if p.Object == d.object.Ref().String() {
				t.add([]cell{{text: "all of " + g.Name}, {"left out", bad}, {}, {text: strings.TrimPrefix(p.Path+": "+p.Message, ": ")}})
			}
		}
	}
	if len(t.rows) > 0 {
		d.section("Not as wanted")
		d.indented(t)
	}
}

// changes lists the last changes that wrote the object.
func (d *description) changes() {
	page := new(changeList)
	query := url.Values{"kind": {d.object.Kind}, "name": {d.object.Metadata.Name}, "limit": {"5"}}
	if d.client.get(d.ctx, "changes", query, page) != nil || len(page.Items) == 0 {
		return
	}
	d.section("Last changes")
	t := &table{columns: []column{{title: "REVISION", right: true}, {title: "WHEN"}, {title: "WHO"}, {title: "WHY", folds: true}}}
	for _, ch := range page.Items {
		t.add([]cell{{text: itoa(ch.Revision)}, {text: ago(ch.At, d.client.now())}, {text: ch.Author}, {text: whyText(ch)}})
	}
	d.indented(t)
}

// health shows a pool's servers, a column for each load balancer.
func (d *description) health() error {
	answer := new(api.PoolHealth)
	if err := d.client.get(d.ctx, "pools/"+d.object.Metadata.Name+"/health", nil, answer); err != nil {
		return err
	}
	d.section("Servers, as the load balancers see them")
	if len(answer.Servers) == 0 {
		d.line("  none: no load balancer has reported this pool")
		return nil
	}
	d.indented(healthTable(answer.Servers, d))
	return nil
}
