package main

import (
	"fmt"

	"weir"
)

// partner tells of each service how it is called, and whether it is in maintenance.
func (d *description) partner(o *weir.Partner) {
	d.section("Services")
	for i := range o.Endpoints {
		e := &o.Endpoints[i]
		scheme := "https"
		if e.Plain {
			scheme = "http"
		}
		d.line(fmt.Sprintf("  %s  %s://%s:%d%s", e.Name(), scheme, e.Host, e.Port, e.Path))
		d.maintenance("    ", e.Maintenance)
	}
	if o.Maintenance != nil {
		d.section("All of them")
		d.maintenance("  ", o.Maintenance)
	}
}

func (d *description) maintenance(indent string, m *weir.SiteMaintenance) {
	if m == nil {
		return
	}
	text := "in maintenance"
	if m.Schedule != "" {
		while, _ := d.while(m.Schedule)
		text += " " + while
	}
	text += fmt.Sprintf(": answered %d", int(m.Status))
	if m.Page != "" {
		text += " with ErrorPage/" + m.Page
	}
	if m.Except != "" {
		text += ", but to AccessList/" + m.Except
	}
	d.line(d.wrapped(indent, text))
}
