package main

import (
	"strconv"
	"strings"

	"weir"
)

func egressClientCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.EgressClient)
	from := make([]string, len(spec.Sources))
	for i, network := range spec.Sources {
		from[i] = network.String()
	}
	return []cell{{text: "/" + spec.Caller(o.Metadata.Name)}, {text: strings.Join(from, " ")}, programmed(o)}
}

func partnerCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.Partner)
	services := make([]string, len(spec.Endpoints))
	for i := range spec.Endpoints {
		services[i] = spec.Endpoints[i].Name()
	}
	return []cell{{text: strings.Join(services, " ")}, {text: spec.Contact}, programmed(o)}
}

func slaCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.SLA)
	room, again := "any", "never"
	if spec.InFlight > 0 {
		room = strconv.Itoa(spec.InFlight)
	}
	if spec.Retries != nil {
		again = spec.Retries.Methods
	}
	return []cell{{text: spec.Connect.String()}, {text: spec.Server.String()}, {text: room}, {text: again}, programmed(o)}
}

func egressRuleCells(_ *facts, o *object) []cell {
	spec := o.Spec.(*weir.EgressRule)
	call := spec.Partner
	if spec.Environment != "" {
		call += "/" + spec.Environment
	}
	if len(spec.Services) > 0 {
		call += " " + strings.Join(spec.Services, " ")
	}
	only := strings.Join(append(append([]string{}, spec.Methods...), spec.Paths...), " ")
	if spec.Schedule != "" {
		only = strings.TrimSpace(only + " while " + spec.Schedule)
	}
	return []cell{{text: strings.Join(spec.Clients, " ")}, {text: call}, {text: strings.Join(spec.SLAs, " ")}, {text: only}, programmed(o)}
}
