package server

import "github.com/prometheus/client_golang/prometheus"

// leadRegistrations is the work of marking servers that register themselves and have fallen silent, which one server does.
const leadRegistrations = "registrations"

func (s *server) registerRegistrations(r prometheus.Registerer) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_registrations", Help: "Servers that register themselves and were heard within their lease.",
	}, func() float64 { return float64(s.registrar.Registered()) }))
}
