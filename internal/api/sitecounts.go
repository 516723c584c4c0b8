package api

// SiteCounts is what the access logs of all load balancers counted for one site since their agents began. The
// numbers only grow, except when an agent begins anew.
type SiteCounts struct {
	Requests uint64 `json:"requests"`
	// Statuses are by class: "2xx".
	Statuses map[string]uint64 `json:"statuses,omitempty"`
	// Pools and Zones are by the pool and the zone that answered.
	Pools map[string]uint64 `json:"pools,omitempty"`
	Zones map[string]uint64 `json:"zones,omitempty"`
	// BytesIn came from clients, BytesOut went to them.
	BytesIn  uint64 `json:"bytesIn"`
	BytesOut uint64 `json:"bytesOut"`
	// Latency is from the first byte of the request to the last of the answer.
	Latency Latency `json:"latency"`
	// RateLimits are by the name of the limit, of those that somebody was over.
	RateLimits map[string]LimitCounts `json:"rateLimits,omitempty"`
	// Splits are the legs that were taken out, of Splits of the site.
	Splits []LegCounts `json:"splits,omitempty"`
}

// Latency are estimates, in milliseconds; 0 when nothing was counted.
type Latency struct {
	P50 float64 `json:"p50Ms"`
	P90 float64 `json:"p90Ms"`
	P99 float64 `json:"p99Ms"`
}

// LimitCounts are the requests and connections that were over a rate limit: answered with a page, closed, or in the mode
// shadow let through, who would have been the one or the other.
type LimitCounts struct {
	Soft       uint64 `json:"soft,omitzero"`
	Hard       uint64 `json:"hard,omitzero"`
	ShadowSoft uint64 `json:"shadowSoft,omitzero"`
	ShadowHard uint64 `json:"shadowHard,omitzero"`
}

// LegCounts says how often load balancers took a leg of a Split out, Aborts, and how many requests went to the first leg
// in its place, Diverted.
type LegCounts struct {
	Split    string `json:"split"`
	Backend  string `json:"backend"`
	Aborts   uint64 `json:"aborts"`
	Diverted uint64 `json:"diverted"`
}
