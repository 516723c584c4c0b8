package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weir"
)

// kindTables are the columns that matter for each kind.
var kindTables = map[string]kindTable{
	"Site": {
		columns: []column{{title: "MODE", optional: true}, {title: "HOSTNAMES", shrinks: true}, {title: "ADDRESSES", shrinks: true, optional: true}, {title: "PORTS"}, {title: "PROGRAMMED"}, {title: "SERVING"}, {title: "REQUESTS", right: true, restless: true}, {title: "ERRORS", right: true, restless: true}},
		learn:   learnCounts, cells: siteCells,
	},
	"Pool": {
		columns: []column{{title: "MODE"}, {title: "MEMBERS"}, {title: "BALANCE", optional: true}, {title: "CHECK", shrinks: true, optional: true}, {title: "PROGRAMMED"}, {title: "ADMITTED"}, {title: "BY HAND", shrinks: true}},
		learn:   learnPools, cells: poolCells,
	},
	"LoadBalancer": {
		columns: []column{{title: "GROUP"}, {title: "ZONE"}, {title: "STATE"}, {title: "HAPROXY"}, {title: "REVISION", right: true, restless: true}, {title: "CONVERGED"}, {title: "RELOADS", right: true}, {title: "HEARD", optional: true, restless: true}},
		learn:   learnFleet, cells: loadBalancerCells,
	},
	"LoadBalancerGroup": {
		columns: []column{{title: "CONVERGED"}, {title: "REVISION", right: true}, {title: "RANGES", shrinks: true}, {title: "TUNING"}},
		learn:   learnFleet, cells: groupCells,
	},
	"Override": {
		columns: []column{{title: "SERVER"}, {title: "POOL"}, {title: "DOES"}, {title: "EXPIRES", restless: true}, {title: "BY", optional: true}, {title: "REASON", shrinks: true}},
		learn:   learnAuthors, cells: overrideCells,
	},
	"ZoneShift":   shiftTable,
	"Certificate": certificateTable,
	"Issuer":      issuerTable,

	"DiscoverySource": sourceTable,

	"Server": {
		columns: []column{{title: "ADDRESS"}, {title: "ZONE"}, {title: "CLUSTERS", shrinks: true, optional: true}, {title: "PORTS", optional: true}, {title: "WEIGHT", right: true, optional: true}, {title: "MANAGED BY", optional: true}, {title: "REGISTERED", shrinks: true}, {title: "BY HAND", shrinks: true}},
		learn:   learnMoves, cells: serverCells,
	},
	"IPAddress": {
		columns: []column{{title: "ADDRESS"}, {title: "HOME"}, {title: "GROUPS"}, {title: "PROGRAMMED"}},
		cells:   addressCells,
	},
	"Zone":             {columns: []column{{title: "CAPACITY", right: true}}, cells: func(_ *facts, o *object) []cell { return words(strconv.Itoa(o.Spec.(*weir.Zone).Capacity)) }},
	"Role":             {columns: []column{{title: "CONTACT", shrinks: true}, {title: "HOSTNAMES", shrinks: true}, {title: "GROUPS"}}, cells: roleCells},
	"IdentityProvider": {columns: []column{{title: "TITLE", shrinks: true}, {title: "ISSUER", shrinks: true}, {title: "CLIENT"}, {title: "GROUPS FROM"}}, cells: providerCells},
	"Grant":            {columns: []column{{title: "SUBJECT"}, {title: "RIGHT"}, {title: "ON ROLE"}}, cells: grantCells},
	"Token":            {columns: []column{{title: "SUBJECT"}, {title: "EXPIRES", restless: true}, {title: "FOR"}}, cells: tokenCells},
	"Secret":           {columns: []column{{title: "GENERATION", right: true}}, cells: secretCells},
	"Map":              {columns: []column{{title: "MATCH"}, {title: "ENTRIES", right: true}, {title: "PROGRAMMED"}}, cells: mapCells},
	"AccessList":       {columns: []column{{title: "NETWORKS", shrinks: true}, {title: "STRINGS"}, {title: "PROGRAMMED"}}, cells: accessListCells},
	"RateLimit":        {columns: []column{{title: "COUNTS"}, {title: "PERIOD"}, {title: "BY", shrinks: true}, {title: "SOFT", right: true}, {title: "HARD", right: true}, {title: "MODE"}, {title: "OVER", right: true, restless: true}, {title: "PROGRAMMED"}}, learn: learnCounts, cells: rateLimitCells},
	"Logic":            {columns: []column{{title: "DESCRIPTION", shrinks: true}, {title: "PARAMETERS", shrinks: true}, {title: "RAW"}, {title: "PROGRAMMED"}}, cells: logicCells},
	"Route":            {columns: []column{{title: "SITE"}, {title: "TAKES", shrinks: true}, {title: "DOES"}}, cells: routeCells},
	"Split":            {columns: []column{{title: "SITE"}, {title: "BACKEND"}, {title: "NOW", restless: true}, {title: "NEXT STEP", restless: true}, {title: "STICKY"}, {title: "PROGRAMMED"}}, cells: splitCells},
	"EgressClient":     {columns: []column{{title: "CALLS AS"}, {title: "FROM", shrinks: true}, {title: "PROGRAMMED"}}, cells: egressClientCells},
	"Partner":          {columns: []column{{title: "SERVICES", shrinks: true}, {title: "CONTACT", shrinks: true}, {title: "PROGRAMMED"}}, cells: partnerCells},
	"SLA":              {columns: []column{{title: "CONNECT", right: true}, {title: "SERVER", right: true}, {title: "IN FLIGHT", right: true}, {title: "MADE AGAIN"}, {title: "PROGRAMMED"}}, cells: slaCells},
	"EgressRule":       {columns: []column{{title: "CLIENTS", shrinks: true}, {title: "CALL", shrinks: true}, {title: "AT", shrinks: true}, {title: "ONLY", shrinks: true}, {title: "PROGRAMMED"}}, cells: egressRuleCells},
	"Schedule":         {columns: []column{{title: "FROM"}, {title: "UNTIL"}, {title: "NOW", restless: true}, {title: "REASON", shrinks: true}}, cells: scheduleCells},
	"ErrorPage":        {columns: []column{{title: "TYPE"}, {title: "BYTES", right: true}, {title: "PROGRAMMED"}}, cells: pageCells},
	"Tuning":           {columns: []column{{title: "MAXCONN", right: true}, {title: "PORTS", shrinks: true}, {title: "CLIENT"}, {title: "SERVER"}}, cells: tuningCells},
}

func loadBalancerCells(f *facts, o *object) []cell {
	spec := o.Spec.(*weir.LoadBalancer)
	state := cell{text: string(spec.State)}
	if spec.State != weir.Active {
		state.tone = warning
	}
	lb, ok := f.fleet[o.Metadata.Name]
	if !ok {
		return append(words(spec.Group, spec.Zone), state, cell{}, cell{}, cell{"unknown", warning}, cell{}, cell{})
	}
	converged := cell{lb.Run, warning}
	switch {
	case !lb.Reachable:
		converged = cell{"silent", bad}
	case lb.Ready:
		converged = cell{"yes", good}
	case lb.Run == "failed":
		converged = cell{"FAILED", bad}
	case lb.Run == "converged":
		converged = cell{"not yet", warning}
	}
	if lb.Quarantined > 0 {
		converged.text += fmt.Sprintf(", %d quarantined", lb.Quarantined)
		converged.tone = bad
	}
	heard := ago(lb.LastSeen, f.client.now())
	if heard == "" {
		heard = "never"
	}
	return []cell{
		{text: spec.Group},
		{text: spec.Zone},
		state,
		{text: lb.HAProxy},
		{text: itoa(lb.Revision)},
		converged,
		{text: strconv.Itoa(lb.Reloads.Count)},
		{heard, faint},
	}
}

func groupCells(f *facts, o *object) []cell {
	spec := o.Spec.(*weir.LoadBalancerGroup)
	converged, revision := cell{"unknown", warning}, ""
	if g, ok := f.groups[o.Metadata.Name]; ok {
		converged = cell{fmt.Sprintf("%d/%d", g.Ready, g.Of), good}
		if g.Ready < g.Of {
			converged.tone = bad
		}
		revision = itoa(g.Wanted)
	}
	return []cell{converged, {text: revision}, {text: brief(prefixes(spec.Ranges), 4)}, {text: spec.Tuning}}
}

func prefixes(list []netip.Prefix) []string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return texts
}

func overrideCells(f *facts, o *object) []cell {
	spec := o.Spec.(*weir.Override)
	pool := spec.Pool
	if pool == "" {
		pool = "all"
	}
	return []cell{{text: spec.Server}, {text: pool}, {text: doesText(spec)}, expiresCell(spec.ExpiresAt, f.client.now()), f.moves.byHand(o), {text: spec.Reason}}
}

// doesText says what an override does to its server.
func doesText(o *weir.Override) string {
	var parts []string
	if o.State != "" {
		parts = append(parts, o.State)
	}
	if o.Weight != nil {
		parts = append(parts, "weight "+strconv.Itoa(*o.Weight))
	}
	return list(parts)
}

func serverCells(f *facts, o *object) []cell {
	spec := o.Spec.(*weir.Server)
	var ports []string
	for _, name := range slices.Sorted(maps.Keys(spec.Ports)) {
		ports = append(ports, name+":"+spec.Ports[name].String())
	}
	weight := cell{}
	if spec.Weight != nil {
		weight.text = strconv.Itoa(*spec.Weight)
		if *spec.Weight == 0 {
			weight.tone = warning
		}
	}
	return []cell{{text: spec.Address.String()}, {text: spec.Zone}, {text: strings.Join(spec.Clusters, ",")}, {text: strings.Join(ports, ",")}, weight, {o.Metadata.ManagedBy, faint}, registeredCell(spec.Registration, f.client.now()), f.moves.cell("", o.Metadata.Name)}
}

func addressCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.IPAddress)
	return append(words(spec.Address.String(), spec.HomeZone, strings.Join(spec.Groups, ",")), programmed(o))
}

func roleCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.Role)
	hostnames, groups := brief(spec.Hostnames, 3), strings.Join(spec.Groups, ",")
	if hostnames == "" {
		hostnames = "any"
	}
	if groups == "" {
		groups = "any"
	}
	return words(spec.Contact, hostnames, groups)
}

func providerCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.IdentityProvider)
	return words(spec.Title, spec.Issuer, spec.ClientID, spec.GroupsClaim)
}

func grantCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.Grant)
	return words(spec.Subject, string(spec.Right), roleWord(spec.Role))
}

func roleWord(role string) string {
	if role == "*" {
		return "* (everything)"
	}
	return role
}

func tokenCells(f *facts, o *object) []cell {
	spec := o.Spec.(*weir.Token)
	what := "the API"
	if spec.Server != nil {
		what = "a server's joining"
	}
	if spec.Join != nil {
		what = "joining " + spec.Join.Group + " in " + spec.Join.Zone
	}
	if r := spec.Registration; r != nil {
		what = "registering " + strings.Join(r.Names, ", ") + " of " + r.Role
	}
	expires := cell{text: "never"}
	if !spec.ExpiresAt.IsZero() {
		left := spec.ExpiresAt.Sub(f.client.now())
		if expires.text = "in " + span(left); left <= 0 {
			expires = cell{"expired " + ago(spec.ExpiresAt, f.client.now()), bad}
		}
	}
	return []cell{{text: spec.Subject}, expires, {text: what}}
}

func secretCells(_ *facts, o *object) []cell {
	ref := o.Spec.(*weir.Secret).DataRef
	if ref == nil {
		return words("")
	}
	return words(itoa(ref.Generation))
}

func tuningCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.Tuning)
	maxconn := "automatic"
	if spec.MaxConnections > 0 {
		maxconn = strconv.Itoa(spec.MaxConnections)
	}
	var ports []string
	for _, p := range spec.Ports {
		ports = append(ports, p.Port.String()+" "+string(p.Mode))
	}
	return words(maxconn, strings.Join(ports, ","), spec.Timeouts.Client.String(), spec.Timeouts.Server.String())
}
