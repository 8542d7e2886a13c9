//! The second model: its tokens and vectors are those of another implementation of it.

use super::*;
use crate::knowledge::testing::multilingual_dir;

const NAME: &str = "multilingual-e5-small";

async fn loaded() -> (Embedder, Arc<ReadyModel>) {
    let embedder = Embedder::load(Some(multilingual_dir()), NAME.to_owned());
    let ready = embedder.ready().await.expect("loaded");
    (embedder, ready)
}

fn assert_begins(vector: &[f32], others: [f32; 6]) {
    assert_eq!(vector.len(), 384);
    for (ours, theirs) in vector.iter().zip(others) {
        // The other one computes with numbers of eight bits.
        assert!((ours - theirs).abs() < 3e-3, "{vector:?} is not {others:?}");
    }
}

#[tokio::test]
async fn questions_and_documents_are_embedded_as_it_was_trained() {
    let (embedder, ready) = loaded().await;
    assert_eq!((ready.dimension, ready.unrelated()), (384, 0.66));
    let question = embedder.embed_query("Wie lange kann ich ein Zelt zurückgeben?", None).await.expect("vector");
    assert_begins(&question, [0.0736, -0.0389, 0.0031, -0.1216, 0.0112, -0.0624]);
    let texts = ["Short.", "テントは六十日以内に返品できます。", &"слово ".repeat(700)].map(str::to_owned);
    let documents = embedder.embed_documents(texts.to_vec()).await.expect("vectors");
    assert_begins(&documents[1], [0.0556, -0.0064, -0.015, -0.0611, 0.0558, -0.0313]);
    assert!(documents.iter().flatten().all(|x| x.is_finite()));
}

#[tokio::test]
async fn every_script_is_cut_as_it_was_trained() {
    let (_embedder, ready) = loaded().await;
    let counted = [
        ("Die Geschäftsführung übernimmt größere Straßenbauarbeiten für 1.234,56 € – „außergewöhnlich“!", 25),
        ("Съешь ещё этих мягких французских булок, да выпей чаю. Электроэнцефалографист №5", 28),
        ("السَّلامُ عليكم، كيف حالُكَ اليوم؟ الذكاء الاصطناعي ٢٠٢٦ ﷺ", 28),
        ("東京都は10～20歳の学生に、ﾊﾝｶｸとＦＵＬＬ幅を①教える。㍿カブシキ", 27),
        ("北京大学的自然语言处理研究,二○二六年十一月。繁體中文也要測試", 20),
        ("ประเทศไทยมีอาหารอร่อยมากมายและผู้คนเป็นมิตร น้ำใจ", 12),
        ("भारत एक विशाल देश है, जिसमें अनेक भाषाएँ बोली जाती हैं। क्षत्रिय", 17),
        ("대한민국의 수도는 서울특별시이다. 인공지능", 8),
        ("😀👍🏽👨\u{200d}👩\u{200d}👧\u{200d}👦 🇩🇪 hi ❤️ 🫠", 18),
        ("ﬁne ﬂow ½ x² ™ … “q” — ‑", 13),
    ];
    for (text, tokens) in counted {
        assert_eq!(ready.tokens(text), tokens, "{text}");
    }
    // An accent that stands apart is no letter of its own.
    assert_eq!(ready.tokens("Cafe\u{301} U\u{308}bergro\u{308}ße"), ready.tokens("Café Übergröße"));
}

#[tokio::test]
async fn a_model_is_not_loaded_under_another_name() {
    for (folder, name) in [(multilingual_dir(), MINILM), (model_dir(), NAME)] {
        let error = Embedder::load(Some(folder.clone()), name.to_owned()).ready().await.expect_err(name);
        assert!(matches!(error, EmbedError::Misnamed { .. }), "{error}");
        assert!(error.to_string().contains(name) && check_name(&folder, name) == Err(error), "{name}");
    }
}
