//! The end of the plane: at once, or when answers on their way have ended.

use super::*;

#[tokio::test]
async fn an_idle_plane_stops_at_once() {
    let admin = Admin::of(Arc::default()).await;

    admin.stop.send(()).expect("it runs");

    admin.task.await.expect("no panic");
}

#[tokio::test]
async fn an_answer_that_never_comes_holds_the_stop_up_for_five_seconds_and_no_more() {
    let plane = Arc::new(Scripted { slow_reload: true, ..Scripted::default() });
    let admin = Admin::of(Arc::clone(&plane)).await;
    let mut stream = TcpStream::connect(admin.address).await.expect("it listens");
    stream.write_all(b"POST /reload HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.expect("it reads");
    plane.reloading.notified().await;
    tokio::time::pause();
    let stopped = tokio::time::Instant::now();

    admin.stop.send(()).expect("it runs");
    admin.task.await.expect("no panic");

    assert_eq!(stopped.elapsed().as_secs(), 5);
}
