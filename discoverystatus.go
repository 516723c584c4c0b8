package weir

import "time"

// SourceStatus is what is so of a DiscoverySource besides its conditions, as the control plane that watches it has
// written it down last.
type SourceStatus struct {
	// Watcher is the server that watches it, since WatchedSince.
	Watcher      string    `json:"watcher,omitempty"`
	WatchedSince time.Time `json:"watchedSince,omitzero"`
	// AnsweredAt is when the place answered last; it is written down about twice a minute.
	AnsweredAt time.Time `json:"answeredAt,omitzero"`
	// Error is why it can't be learned what the place has, since FailedAt; what was learned before stands.
	Error    string    `json:"error,omitempty"`
	FailedAt time.Time `json:"failedAt,omitzero"`
	// Unwritten is why servers can't be written at present.
	Unwritten string `json:"unwritten,omitempty"`
	// Change says what was written last, at ChangedAt.
	Change    string    `json:"change,omitempty"`
	ChangedAt time.Time `json:"changedAt,omitzero"`
	// Came and Went are how many servers began and ceased to take traffic for it, all in all.
	Came int64 `json:"came,omitempty"`
	Went int64 `json:"went,omitempty"`
	// Found are the instances in the place, in Parts parts; Ready, NotReady and Draining as it has them.
	Found    int `json:"found"`
	Parts    int `json:"parts,omitempty"`
	Ready    int `json:"ready,omitempty"`
	NotReady int `json:"notReady,omitempty"`
	Draining int `json:"draining,omitempty"`
	// Unread says that not all parts have been read since WatchedSince; what is in none is gone only after that.
	Unread bool `json:"unread,omitempty"`
	// Servers are those that it has written, Healthy those of them that may take traffic.
	Servers int `json:"servers"`
	Healthy int `json:"healthy"`
	// LeftOut are the instances that are no servers; Left are some of them, with why.
	LeftOut int             `json:"leftOut,omitempty"`
	Left    []SourceLeftOut `json:"left,omitempty"`
	// Damped are the servers that are kept out for coming and going too often; DampedServers are some of them.
	Damped        int            `json:"damped,omitempty"`
	DampedServers []SourceDamped `json:"dampedServers,omitempty"`
	// Doubt is what is gone from the place and is not believed to be; nil for nothing.
	Doubt *SourceDoubt `json:"doubt,omitempty"`
}

// SourceLeftOut is an instance of a source that is no server.
type SourceLeftOut struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// SourceDamped is a server that is kept out until a time, unless it goes once more.
type SourceDamped struct {
	Server string    `json:"server"`
	Until  time.Time `json:"until"`
}

// SourceDoubt is what a source says is gone, and what changes nothing before it is confirmed, is there again, or was gone
// for as long as the floor holds.
type SourceDoubt struct {
	// Number is another one as soon as more is gone; a confirmation is of one.
	Number int64  `json:"number"`
	Why    string `json:"why"`
	// Servers are held; Names are some of them.
	Servers int      `json:"servers"`
	Names   []string `json:"names,omitempty"`
	// Since is when the first of them was gone, Until when that one is believed to be.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}
