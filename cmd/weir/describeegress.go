package main

import (
	"fmt"
	"strings"

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
		d.line(strings.TrimRight(fmt.Sprintf("  %s  %s://%s:%d%s  %s", e.Name(), scheme, e.Host, e.Port, e.Path, whereIs(e)), " "))
		d.verified(e)
		d.maintenance("    ", e.Maintenance)
	}
	if o.Maintenance != nil {
		d.section("All of them")
		d.maintenance("  ", o.Maintenance)
	}
}

// verified tells which name and whose signature the certificate of a service must have.
func (d *description) verified(e *weir.PartnerEndpoint) {
	if e.Plain || e.TLS == nil {
		return
	}
	by := "an authority of the load balancer's system"
	if e.TLS.CA != "" {
		by = "Certificate/" + e.TLS.CA
	}
	d.line(d.wrapped("    ", fmt.Sprintf("its certificate must be for %s and signed by %s", e.TLS.SNI, by)))
}

// whereIs gives the addresses that calls to a service go to, and by whom they were found.
func whereIs(e *weir.PartnerEndpoint) string {
	list, from := e.Addresses, ""
	switch {
	case len(list) > 0:
	case e.Resolve == weir.ResolveByLoadBalancer:
		return "each load balancer asks the DNS"
	case len(e.Resolved) == 0:
		return "no address yet"
	default:
		list, from = e.Resolved, ", by the DNS"
	}
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.String()
	}
	return "at " + some(names, 4) + from
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
