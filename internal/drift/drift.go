// Package drift tells what other hands changed in a running HAProxy, and what to bring it to when that is to be left
// alone. It only judges: when to look, and what to do, is the agent's.
//
// Everything hangs on places: a server's weight, an entry of a map, a line of a list. Find names the places at which
// a HAProxy is not as it should be; Left says at which of them a new wish asks for nothing new; Overlay brings one
// configuration at some places to what another has there.
package drift

import (
	"weir/internal/haproxy"
)

// Kind says what a place is.
type Kind string

// The kinds of places. Those from Restarted on are no part of a haproxy.Config, and Find never gives them.
const (
	Weight      Kind = "Weight"      // a server's: At is the backend, Name the server
	State       Kind = "State"       // a server's: ready, drained or in maintenance
	Address     Kind = "Address"     // a server's
	Limit       Kind = "Limit"       // a server's bound of connections
	Server      Kind = "Server"      // that it is there
	Backend     Kind = "Backend"     // that it is there: At
	Published   Kind = "Published"   // whether rules may choose a backend: At
	Entry       Kind = "Entry"       // of a map: At is its path, Name the key
	Map         Kind = "Map"         // all of a map in which order counts, or a key stands twice: At
	Certificate Kind = "Certificate" // At is its file
	Authority   Kind = "Authority"   // At is its file
	ListLine    Kind = "ListLine"    // of a list of certificates: At is its path, Name the line
	Restarted   Kind = "Restarted"   // HAProxy was restarted or reloaded
	File        Kind = "File"        // one that HAProxy reads when it starts: At is its path
)

// Place is where something is that can be changed by itself.
type Place struct {
	Kind     Kind
	At, Name string
}

// Item is one thing that is not as it should be.
type Item struct {
	Place
	// Object is whose it is, as "Server/web-017"; "" for nobody's. Pool and Server are names without digests.
	Object, Pool, Server string
	// Was and Is are what the place should hold and holds; "" is nothing.
	Was, Is string
	// Text says it to people, without the names of Object, Pool and Server: "weight 100 → 7".
	Text string
}

// The values of a State.
const (
	Ready       = "ready"
	Drained     = "drained"
	Maintenance = "maintenance"
)

func stateOf(s *haproxy.Server) string {
	switch {
	case s.Maintenance:
		return Maintenance
	case s.Drained:
		return Drained
	}
	return Ready
}

// Places gives those of items.
func Places(items []Item) []Place {
	places := make([]Place, len(items))
	for i, item := range items {
		places[i] = item.Place
	}
	return places
}

// Left gives the items at whose places want asks for what was asked for when they were found: where it asks for
// something else, the wish is newer than the hand. Who is drained by hand is not left so where want drains as well, which
// it does by weight: it would stay drained when the wish ends.
func Left(items []Item, want haproxy.Config) []Item {
	var left []Item
	c := newCatalog(want)
	for _, item := range items {
		adopted := item.Kind == State && item.Is == Drained && c.value(Place{Weight, item.At, item.Name}) == "0"
		if c.value(item.Place) == item.Was && !adopted {
			left = append(left, item)
		}
	}
	return left
}

// Still gives the items at whose places have is as it was found.
func Still(items []Item, have haproxy.Config) []Item {
	var still []Item
	c := newCatalog(have)
	for _, item := range items {
		if c.value(item.Place) == item.Is {
			still = append(still, item)
		}
	}
	return still
}
