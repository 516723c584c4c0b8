package api

import (
	"net/http"

	"weir"
)

// KindList is what kinds there are, in the order in which their objects are best read.
type KindList struct {
	Kinds []KindInfo `json:"kinds"`
}

// KindInfo describes a kind, so that clients can say beforehand what a caller may not do.
type KindInfo struct {
	Name   string `json:"name"`
	Plural string `json:"plural"`
	// Words are further ones by which the command line knows it.
	Words []string `json:"words,omitempty"`
	// Area is what it is about: platform, traffic, movement, tls or discovery.
	Area string `json:"area"`
	Doc  string `json:"doc"`
	// Platform kinds carry no role and are an admin's to write; ReadOnly ones nobody writes.
	Platform bool `json:"platform,omitempty"`
	ReadOnly bool `json:"readOnly,omitempty"`
	// Write is the right on the object's role that writing one takes; what has no role takes admin.
	Write weir.Right `json:"write"`
}

// areas are those of kinds that are not of the area traffic.
var areas = map[string]string{
	"Zone": "platform", "LoadBalancerGroup": "platform", "LoadBalancer": "platform", "Tuning": "platform", "IPAddress": "platform",
	"Role": "platform", "Grant": "platform", "Token": "platform", "Secret": "platform", "Change": "platform",
	"ZoneShift": "movement", "Split": "movement", "Schedule": "movement", "Override": "movement",
	"Certificate": "tls", "Issuer": "tls", "DiscoverySource": "discovery",
}

// kindList tells what kinds there are; that is in the documentation, too.
func (c *call) kindList() error {
	list := KindList{}
	for _, k := range weir.Kinds() {
		info := KindInfo{Name: k.Name, Plural: k.Plural, Words: k.Short, Area: areas[k.Name], Doc: k.Doc, Platform: k.Platform, ReadOnly: k.ReadOnly, Write: k.Write}
		if info.Area == "" {
			info.Area = "traffic"
		}
		list.Kinds = append(list.Kinds, info)
	}
	return c.answer(http.StatusOK, list)
}
