package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weir"
	"weir/internal/store"
)

// says NAME STATE BY [REASON] writes a server of role web as one that has said so for three hours.
func says(ts *testscript.TestScript, _ bool, args []string) {
	is := &weir.Registration{State: args[1], By: args[2], Since: theNow.Add(-3 * time.Hour)}
	if len(args) > 3 {
		is.Reason = args[3]
	}
	o := &weir.Object{
		Kind: "Server", Metadata: weir.Metadata{Name: args[0], Role: "web", ManagedBy: weir.ManagedByRegistration},
		Spec: &weir.Server{Address: netip.MustParseAddr("10.1.9.1"), Zone: "az1", Registration: is},
	}
	o.Spec.Normalize()
	_, err := planeOf(ts).store.Apply(context.Background(), store.Request{Author: "registration/" + args[0], Writes: []weir.Write{{Put: o}}, Registers: true})
	ts.Check(err)
}
