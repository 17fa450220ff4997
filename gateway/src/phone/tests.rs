use std::net::Ipv4Addr;

use media::Codec;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

async fn phone(name: &str, tone_hz: f32, behaviour: Behaviour) -> Phone {
    let config = Config {
        behaviour,
        ..Config::new(name, tone_hz)
    };
    Phone::start(config).await.unwrap()
}

async fn hears_within(phone: &Phone, voice: &Voice) -> bool {
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let span = Span::before(clock::mono(), Duration::from_millis(450));
        if phone.hears(span, std::slice::from_ref(voice))[0].is_steady() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn two_phones_hear_each_other_and_not_themselves() {
    let after = Duration::from_millis(100);
    let anna = phone("anna", 807.0, Behaviour::Ring).await;
    let bert = phone("bert", 1281.0, Behaviour::Answer { after }).await;
    anna.call("bert", bert.address()).await.unwrap();
    anna.wait_ringing(PATIENCE).await.unwrap();
    anna.wait_answered(PATIENCE).await.unwrap();
    bert.wait_answered(PATIENCE).await.unwrap();
    let (her, his) = (Voice::tone("anna", 807.0), Voice::tone("bert", 1281.0));
    assert!(hears_within(&anna, &his).await);
    assert!(hears_within(&bert, &her).await);
    let span = Span::before(clock::mono(), Duration::from_secs(1));
    assert!(anna.hears(span, std::slice::from_ref(&her))[0].is_absent());
    assert!(bert.hears(span, std::slice::from_ref(&his))[0].is_absent());
    anna.send_dtmf("42#").await.unwrap();
    let mut status = bert.status.clone();
    // What `wait_for` gives locks the status, so it must not outlive its line.
    let is_told = tokio::time::timeout(PATIENCE, status.wait_for(|status| status.digits == "42#"))
        .await
        .is_ok();
    assert!(is_told, "{:?}", bert.status());
    anna.hang_up().await.unwrap();
    assert_eq!(bert.wait_ended(PATIENCE).await, Ok(End::FarHungUp));
    assert_eq!(anna.wait_ended(PATIENCE).await, Ok(End::HungUp));
}

#[tokio::test]
async fn a_busy_phone_refuses_and_a_ringing_one_can_be_given_up() {
    let anna = phone("anna", 807.0, Behaviour::Ring).await;
    let busy = phone("busy", 1281.0, Behaviour::Busy).await;
    anna.call("busy", busy.address()).await.unwrap();
    assert_eq!(
        anna.wait_answered(PATIENCE).await,
        Err(PhoneError::Ended(End::Refused(486)))
    );
    let ringing = phone("ringing", 1281.0, Behaviour::Ring).await;
    anna.call("ringing", ringing.address()).await.unwrap();
    ringing.wait_ringing(PATIENCE).await.unwrap();
    anna.hang_up().await.unwrap();
    assert_eq!(ringing.wait_ended(PATIENCE).await, Ok(End::Cancelled));
}

#[tokio::test]
async fn a_phone_without_a_common_codec_is_refused() {
    let anna = phone("anna", 807.0, Behaviour::Ring).await;
    let config = Config {
        codec: Codec::Pcma,
        address: Ipv4Addr::new(127, 0, 0, 5).into(),
        ..Config::new("bert", 1281.0)
    };
    let bert = Phone::start(config).await.unwrap();
    anna.call("bert", bert.address()).await.unwrap();
    assert_eq!(
        anna.wait_answered(PATIENCE).await,
        Err(PhoneError::Ended(End::Refused(488)))
    );
}
