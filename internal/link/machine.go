package link

// MachineReport is how a load balancer's machine is off, and its HAProxy. What grows begins anew with the machine.
type MachineReport struct {
	// Processors is how many there are, CPU what all of them did in milliseconds.
	Processors int     `json:"processors,omitempty"`
	CPU        CPUTime `json:"cpu,omitzero"`
	// Memory is in bytes; what is used is without what can be had back at once.
	MemoryUsed  uint64 `json:"memoryUsed,omitempty"`
	MemoryTotal uint64 `json:"memoryTotal,omitempty"`
	// Received and Sent are bytes of all interfaces but the loopback.
	Received uint64 `json:"received,omitempty"`
	Sent     uint64 `json:"sent,omitempty"`
	// Load is the load average of a minute.
	Load float64 `json:"load,omitempty"`
	// HAProxyIdle is the share of its time in hundredths for which HAProxy's worker has nothing to do; nil when it did not say.
	HAProxyIdle *int `json:"haproxyIdle,omitempty"`
	// HAProxyMemory is what the worker has in memory, in bytes.
	HAProxyMemory uint64 `json:"haproxyMemory,omitempty"`
}

// CPUTime is in milliseconds.
type CPUTime struct {
	User      uint64 `json:"user"`
	System    uint64 `json:"system"`
	Interrupt uint64 `json:"interrupt"`
	Wait      uint64 `json:"wait"`
	Steal     uint64 `json:"steal"`
	Idle      uint64 `json:"idle"`
}

// Sum is all of it.
func (c CPUTime) Sum() uint64 { return c.User + c.System + c.Interrupt + c.Wait + c.Steal + c.Idle }
