;; The guest of the target `host_calls`: reads records from standard input and makes the host call
;; that each one describes, with any arguments.
;;
;; A record has 18 bytes: the function, flags, and four arguments of 4 bytes. Bit n of the flags
;; replaces argument n by the length that the last `call` or `wait` returned.
(module
  (import "host" "call" (func $call (param i32 i32 i32 i32) (result i32)))
  (import "host" "start" (func $start (param i32 i32 i32 i32) (result i32)))
  (import "host" "wait" (func $wait (param f64 i32) (result i32)))
  (import "host" "take" (func $take (param i32 i32)))
  (import "host" "notify" (func $notify (param i32 i32 i32 i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2 4)

  ;; 0: an iovec of 18 bytes at 16. 8: the number of bytes read. 64: a second iovec.
  (data (i32.const 64) "\00\02\00\00\10\00\00\00")
  (data (i32.const 256) "echo")
  (data (i32.const 272) "slow")
  (data (i32.const 288) "never")
  (data (i32.const 304) "fail")
  (data (i32.const 320) "large")
  (data (i32.const 336) "sandbox.forget")
  (data (i32.const 352) "no such name")
  (data (i32.const 384) "[1,\"a\"]")
  (data (i32.const 400) "[1]")
  (data (i32.const 416) "{\"a\":")
  (data (i32.const 432) "\"\ff\"")
  (data (i32.const 512) "{\"result\":[1,2]}")

  (func $argument (param $index i32) (param $last i32) (result i32)
    (if (i32.and (i32.shr_u (i32.load8_u (i32.const 17)) (local.get $index)) (i32.const 1))
      (then (return (local.get $last))))
    (i32.load (i32.add (i32.const 18) (i32.mul (local.get $index) (i32.const 4)))))

  (func (export "run_task") (result i32)
    (local $last i32) (local $op i32) (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (loop $next
      (i32.store (i32.const 0) (i32.const 16))
      (i32.store (i32.const 4) (i32.const 18))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.ne (i32.load (i32.const 8)) (i32.const 18)) (then (return (i32.const 0))))
      (local.set $op (i32.rem_u (i32.load8_u (i32.const 16)) (i32.const 14)))
      (local.set $a (call $argument (i32.const 0) (local.get $last)))
      (local.set $b (call $argument (i32.const 1) (local.get $last)))
      (local.set $c (call $argument (i32.const 2) (local.get $last)))
      (local.set $d (call $argument (i32.const 3) (local.get $last)))
      (block $done
        (block $memory_grow (block $proc_exit (block $random_get (block $clock_time_get
        (block $poll_oneoff (block $fd_write (block $fd_read (block $notify (block $take
        (block $wait_long (block $wait (block $start (block $call
          (br_table $call $start $wait $wait_long $take $notify $fd_read $fd_write $poll_oneoff
            $clock_time_get $random_get $proc_exit $memory_grow $done (local.get $op)))
          ;; call
          (local.set $last (call $call
            (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
          (if (i32.lt_s (local.get $last) (i32.const 0))
            (then (local.set $last (i32.sub (i32.const -1) (local.get $last)))))
          (br $done))
          ;; start
          (drop (call $start (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
          (br $done))
          ;; wait, for milliseconds
          (local.set $last (call $wait
            (f64.div (f64.convert_i32_s (local.get $a)) (f64.const 1000)) (local.get $b)))
          (if (i32.lt_s (local.get $last) (i32.const 0))
            (then (local.set $last (i32.sub (i32.const -1) (local.get $last)))))
          (br $done))
          ;; wait, for any number of seconds
          (drop (call $wait
            (f64.reinterpret_i64 (i64.or
              (i64.shl (i64.extend_i32_u (local.get $a)) (i64.const 32))
              (i64.extend_i32_u (local.get $c))))
            (local.get $b)))
          (br $done))
          (call $take (local.get $a) (local.get $b))
          (br $done))
          (call $notify (local.get $a) (local.get $b) (local.get $c) (local.get $d))
          (br $done))
          (drop (call $fd_read (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
          (br $done))
          (drop (call $fd_write (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
          (br $done))
          (drop (call $poll_oneoff (local.get $a) (local.get $b) (local.get $c) (local.get $d)))
          (br $done))
          (drop (call $clock_time_get
            (local.get $a) (i64.extend_i32_u (local.get $b)) (local.get $c)))
          (br $done))
          (drop (call $random_get (local.get $a) (local.get $b)))
          (br $done))
          (call $proc_exit (local.get $a))
          (br $done))
          (drop (memory.grow (local.get $a))))
      (br $next))
    unreachable))
