;; The host's functions (host.rs).
(module
  (import "host" "mix" (func (param i32) (result i32)))
  (import "host" "mix64" (func (param i64 f64) (result i64)))
  (import "host" "half" (func (param f32) (result f32)))
  (import "host" "many" (func (param i32 i64 f32 f64 i32 i64) (result i64 i32)))
  (import "host" "grow" (func (param i32) (result i32)))
  (import "host" "yield" (func))
  (import "host" "enter" (func (param i32) (result i32)))
  (import "host" "other" (func (param i32))))
