package main

import (
	"fmt"
	"net/url"
	"strings"

	"weir"
)

// registered tells what is said of a server's health, since when, with which token it came or which source says it, and
// when it is forgotten.
func (d *description) registered(is *weir.Registration) {
	if is == nil {
		return
	}
	now := d.client.now()
	d.section("Registered")
	c := registeredCell(is, now)
	d.line(d.wrapped("  ", d.paint(c.tone, is.State)+strings.TrimPrefix(oneLine(c.text), is.State)))
	name, byToken := strings.CutPrefix(is.By, weir.ByRegistration)
	if !byToken {
		d.line(d.wrapped("  ", "as "+clean(is.By)+" says, since "+clock(is.Since)))
		return
	}
	d.line(d.wrapped("  ", fmt.Sprintf("with Token/%s, since %s", clean(name), clock(is.Since))))
	gone := is.State == weir.RegistrationStale || is.State == weir.RegistrationWithdrawn
	if kind, _ := weir.KindByName("Token"); gone && d.object.Metadata.ManagedBy == weir.ManagedByRegistration {
		o, err := d.client.one(d.ctx, kind, name)
		if err != nil {
			return // it is gone, or not for the caller to see
		}
		if forget := o.Spec.(*weir.Token).Registration.Forgets(); forget > 0 {
			d.line(d.wrapped("  ", "deleted from "+clock(is.Since.Add(forget))+" on while it is silent, unless a pool needs it"))
		}
	}
}

// letIn counts the servers that are registered with a token, as far as the caller may see them.
func (d *description) letIn(terms *weir.RegistrationTerms) {
	if terms == nil {
		return
	}
	kind, _ := weir.KindByName("Server")
	list, err := d.client.all(d.ctx, kind, url.Values{"role": {terms.Role}})
	if err != nil {
		return
	}
	counts, total := map[string]int{}, 0
	for _, o := range list.Items {
		if is := o.Spec.(*weir.Server).Registration; is != nil && is.By == weir.ByRegistration+d.object.Metadata.Name {
			counts[is.State]++
			total++
		}
	}
	var parts []string
	for _, state := range sortedNames(counts) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
	}
	d.section("Registered with it")
	d.line(d.wrapped("  ", strings.TrimSuffix(count(total, "server", "servers")+": "+strings.Join(parts, ", "), ": ")))
}
