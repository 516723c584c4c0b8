package server

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/link"
)

var (
	cpuDesc           = prometheus.NewDesc("weir_machine_cpu_seconds_total", "What all processors of a load balancer's machine did, by mode.", []string{"loadbalancer", "mode"}, nil)
	memoryDesc        = prometheus.NewDesc("weir_machine_memory_bytes", "Memory of a load balancer's machine: in use without what can be had back at once, and in all.", []string{"loadbalancer", "state"}, nil)
	networkDesc       = prometheus.NewDesc("weir_machine_network_bytes_total", "Bytes that went over the network interfaces of a load balancer's machine, the loopback left out.", []string{"loadbalancer", "direction"}, nil)
	loadDesc          = prometheus.NewDesc("weir_machine_load", "The load average of a minute of a load balancer's machine.", []string{"loadbalancer"}, nil)
	haproxyIdleDesc   = prometheus.NewDesc("weir_haproxy_idle_ratio", "The share of its time for which HAProxy has nothing to do.", []string{"loadbalancer"}, nil)
	haproxyMemoryDesc = prometheus.NewDesc("weir_haproxy_memory_bytes", "Memory that HAProxy's worker has in use.", []string{"loadbalancer"}, nil)
	seriesDesc        = prometheus.NewDesc("weir_series_objects", "Objects of which this server keeps figures over time.", nil, nil)
	seriesLeftDesc    = prometheus.NewDesc("weir_series_left_out_total", "Figures over time that were not kept, since there are too many objects.", nil, nil)
)

// collectMachines gives how the machines of all load balancers are off.
func collectMachines(reports map[string]link.Reported, out chan<- prometheus.Metric) {
	for _, name := range slices.Sorted(maps.Keys(reports)) {
		m := reports[name].Machine
		if m == nil {
			continue
		}
		put := func(desc *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(desc, kind, v, append([]string{name}, labels...)...)
		}
		for _, mode := range []struct {
			name string
			ms   uint64
		}{{"user", m.CPU.User}, {"system", m.CPU.System}, {"interrupt", m.CPU.Interrupt}, {"wait", m.CPU.Wait}, {"steal", m.CPU.Steal}, {"idle", m.CPU.Idle}} {
			put(cpuDesc, prometheus.CounterValue, float64(mode.ms)/1000, mode.name)
		}
		put(memoryDesc, prometheus.GaugeValue, float64(m.MemoryUsed), "used")
		put(memoryDesc, prometheus.GaugeValue, float64(m.MemoryTotal), "total")
		put(networkDesc, prometheus.CounterValue, float64(m.Received), "in")
		put(networkDesc, prometheus.CounterValue, float64(m.Sent), "out")
		put(loadDesc, prometheus.GaugeValue, m.Load)
		if m.HAProxyIdle != nil {
			put(haproxyIdleDesc, prometheus.GaugeValue, float64(*m.HAProxyIdle)/100)
		}
		put(haproxyMemoryDesc, prometheus.GaugeValue, float64(m.HAProxyMemory))
	}
}

// Describe says nothing, as that of the fleet.
func (a *annals) Describe(chan<- *prometheus.Desc) {}

// Collect tells how much is kept.
func (a *annals) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	objects, left := len(a.store.Objects()), a.store.LeftOut()
	a.mu.Unlock()
	out <- prometheus.MustNewConstMetric(seriesDesc, prometheus.GaugeValue, float64(objects))
	out <- prometheus.MustNewConstMetric(seriesLeftDesc, prometheus.CounterValue, float64(left))
}
